import json, pytest
from tests.pages.test_access import *
@pytest.mark.parametrize("name", PEOPLE)
def test_gen(name, app, house, browser, machine):
    visitor = browser("nobody" if name == "machine" else name)
    if name == "machine":
        visitor.client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {machine(name='every scope').token}"
    out = {}
    for method, route in routes_of(app):
        out[f"{method} {route}"] = ask(visitor, method, address_of(route, house)).status
    json.dump(out, open(f"/tmp/gen_{name}.json","w"))
