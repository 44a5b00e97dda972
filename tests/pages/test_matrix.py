"""The matrix beyond the table of people: each permission alone, other credentials, other spellings of addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from portal.core.access import PERMISSIONS, of_permissions
from tests.conftest import make_key, signed_in
from tests.pages.conftest import House
from tests.pages.test_access import address_of, bare_status, routes_of, table
from tests.people import make_account
from tests.visitor import Visitor

if TYPE_CHECKING:
    from portal.core.access import Capability
    from portal.web.frame import Doorward

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
# Where the verb behind looks closer than the door: whose account it is decides, and the own rank.
USERS = {"users.read", "users.write", "users.delete", "credits.write"}
CLOSER: dict[tuple[str, str], dict[str, int]] = {
    ("GET", "/account/picture/<uuid:picture_id>"): dict.fromkeys(USERS, 200),
    ("GET", "/admin/factors/<uuid:account_id>"): {"staff.manage": 403, "admins.manage": 403},
    ("POST", "/admin/factors/<uuid:account_id>"): {"staff.manage": 403, "admins.manage": 403},
    ("GET", "/admin/sessions/<uuid:account_id>/end"): {"staff.manage": 403, "admins.manage": 403},
    ("POST", "/admin/sessions/<uuid:account_id>/end"): {"staff.manage": 403, "admins.manage": 403},
    ("POST", "/admin/admins/<uuid:admin_id>"): {"admins.manage": 422},
    ("GET", "/admin/undo/<uuid:entry_id>"): dict.fromkeys(("staff.manage", "admins.manage", "credits.write"), 403),
    ("POST", "/admin/undo/<uuid:entry_id>"): dict.fromkeys(("staff.manage", "admins.manage", "credits.write"), 403),
}
# What an answer may be that gives nothing: a refusal, or the way to the door or to the one address there is.
NOTHING = {301, 302, 308, 400, 401, 403, 404, 405}
OVERRIDES = {"X-HTTP-Method-Override": "GET", "X-Method-Override": "GET", "X-Original-URL": "/", "X-Rewrite-URL": "/"}


def wanted_by(app: Doorward) -> dict[tuple[str, str], tuple[Capability, ...]]:
    """Which capabilities each route declares: (method, route) to any of them."""
    return {
        (method, rule.rule): getattr(app.view_functions[rule.endpoint], "__capabilities__", ())
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    }


def test_each_permission_alone_opens_what_its_capabilities_do(app: Doorward, house: House) -> None:
    wanted, said = wanted_by(app), table()
    # Where having everything changes nothing against having nothing, one permission does neither.
    asked = [one for one in routes_of(app) if said[one]["max"] != said[one]["ada"]]
    assert len(asked) > 100
    wrong = {}
    for permission in sorted(PERMISSIONS):
        name = permission.replace(".", "-")
        make_account(name, permissions=[permission])
        visitor = signed_in(app, name)
        held = of_permissions([permission])
        for method, route in asked:
            lacks = held.isdisjoint(wanted[method, route])
            expected = CLOSER.get((method, route), {}).get(permission, said[method, route]["max" if lacks else "ada"])
            found = bare_status(visitor, method, address_of(route, house))
            if found != expected:
                wrong[permission, method, route] = (found, expected)
    assert not wrong, "\n".join(f"{key}: {value}" for key, value in wrong.items())


@ONE_DATABASE
def test_an_api_key_opens_no_door_but_its_own(app: Doorward, house: House) -> None:
    key = make_key(make_account("kim"))
    said = table()
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}, {"Cookie": f"doorward={key}; sid={key}"}):
        client = app.test_client(use_cookies=False)
        client.environ_base |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        opened = {}
        for method, route in routes_of(app):
            answer = client.open(address_of(route, house), method=method)
            answer.close()
            found = answer.status_code
            # Without a cookie there is no token against forgery: a form that is open to all answers 400.
            if found not in {said[method, route]["nobody"], 400 if method == "POST" else 0}:
                opened[method, route] = found
        assert opened == ({} if "Cookie" in headers else {("GET", "/api/v1/keys/self"): 200})


def spellings(address: str) -> list[str]:
    """Other ways to write an address, in which a gate and a router may read different things."""
    last = address.rpartition("/")[2]
    return [
        f"{address}/",
        f"/{address}",
        address.replace("/", "//"),
        address.upper(),
        address.title(),
        f"{address};x=1",
        f"/account/..{address}",
        f"/.{address}",
        f"/%2e{address}",
        f"/static/%2e%2e{address}",
        address[0] + address[1:].replace("/", "%2f"),
        address.replace(last, f"%{ord(last[0]):02x}{last[1:]}") if last else "/%61",
        f"{address}%00",
        f"{address}%20",
        f"{address}.json",
    ]


@ONE_DATABASE
def test_another_spelling_or_method_gives_no_more(app: Doorward, house: House) -> None:
    said = table()
    for name in ("nobody", "alice", "max"):
        client = Visitor(app.test_client()).client if name == "nobody" else signed_in(app, name).client
        more = {}
        for method, route in routes_of(app):
            refused = said[method, route][name] in {401, 403, 404, 302 if name == "nobody" else 0}
            if not refused or said[method, route]["ada"] == said[method, route]["nobody"]:
                continue
            address = address_of(route, house)
            # What is sent under another spelling has no token against forgery, so only looks are worth a try; and
            # whoever is somebody gets past more gates than nobody.
            tries = [("GET", other) for other in spellings(address)] if method == "GET" and name != "nobody" else []
            tries += [(other, address) for other in ("HEAD", "OPTIONS", "TRACE") if (other, method) != ("HEAD", "POST")]
            for other, where in tries:
                answer = client.open(where, method=other)
                if answer.status_code not in NOTHING and (other != "OPTIONS" or answer.get_data()):
                    more[other, where] = answer.status_code
            answer = client.open(address, method=method, headers=OVERRIDES)
            if answer.status_code not in NOTHING:
                more["override", address] = answer.status_code
        assert more == {}, name
