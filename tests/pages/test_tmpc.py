
from tests.pages.test_access import *
def test_mine(app, house, browser, machine):
    for name in PEOPLE:
        if name=="machine": continue
        visitor = browser(name)
        for method, route in routes_of(app):
            if "usage" in route and "/api" not in route or "staff/users" in route:
                answer = ask(visitor, method, address_of(route, house))
                exp = table().get((method, route), {}).get(name)
                if answer.status != exp: print("WRONG", name, method, route, answer.status, exp)
def test_private(house, browser):
    test_what_belongs_to_another_is_not_there("GET", "/account/usage/refusals/{}", "bob's refusal", house, browser)
