"""Who may call what over the API: every route and method by everybody, by every scope and by each permission alone."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from ipaddress import IPv4Address
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from portal.accounts.models import User
from portal.core import clock
from portal.core.access import PERMISSIONS, SCOPES, of_permissions
from portal.core.database import db
from portal.core.errors import NotFound
from tests.api.callers import account_named, bearer, client_id, token_of
from tests.api.matrix import CALLERS, address_of, api_routes, sent_with, table
from tests.conftest import machines_of, make_key, signed_in
from tests.pages.conftest import House
from tests.people import make_account, open_case_for

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from portal.core.access import Capability
    from portal.web.frame import Doorward

ADDRESSES = count(1)
# Where the verb behind looks closer: words of a conversation want a right of their own, for the reason that all give.
LOG = ("GET", "/api/v1/message-logs/<uuid:log_id>")
CLOSER = {(who, *LOG): 403 for who in ("users.read", "users.write", "logs:read")}
# What opens users to accounts opens to a client no keys: those have scopes of their own.
KEYS = "/api/v1/users/<uuid:user_id>/keys"
CLOSER |= {("users:read", "GET", KEYS): 403, ("users:write", "POST", KEYS): 403}
CLOSER |= {("users:write", "PATCH", f"{KEYS}/<uuid:key_id>"): 403}
CLOSER |= {("users:write", "POST", f"{KEYS}/<uuid:key_id>/rotate"): 403}
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@dataclass
class Walker:
    """Somebody who tries every route. `about` has a case about the user of each call, where they are staff."""

    app: Doorward
    house: House
    headers: dict[str, str]
    in_case: str | None = None
    cases: dict[UUID, str] = field(default_factory=dict)
    cookies_of: FlaskClient | None = None

    @cached_property
    def client(self) -> FlaskClient:
        return self.cookies_of or self.app.test_client(use_cookies=False)

    def call(self, method: str, route: str, *, fresh: bool) -> TestResponse:
        """A call that is good in itself."""
        alice = account_named("alice")
        address, user_id = address_of(method, route, self.house, alice, fresh=fresh)
        headers = {"X-Reason": "They asked for it.", **self.headers}
        if self.in_case:
            if user_id not in self.cases:
                with suppress(NotFound):  # about somebody deleted only level 3 opens one
                    self.cases[user_id] = open_case_for(self.in_case, db.session.get_one(User, user_id))
            headers["X-Case"] = self.cases.get(user_id, "")
        # Each from another address: what the public may do is counted by it.
        came = {"REMOTE_ADDR": str(IPv4Address("127.1.0.0") + next(ADDRESSES))}
        sent = sent_with(method, route)
        return self.client.open(address, method=method, headers=headers, environ_overrides=came, **sent)


def wanted_by(app: Doorward) -> dict[tuple[str, str], tuple[Capability, ...]]:
    """What each route of the API requires: any of these; nothing where it is open."""
    endpoints = {
        (method, rule.rule): rule.endpoint for rule in app.url_map.iter_rules() for method in rule.methods or ()
    }
    return {one: getattr(app.view_functions[endpoints[one]], "__capabilities__", ()) for one in api_routes(app)}


def differing(walker: Walker, expected: dict[tuple[str, str], int]) -> dict[tuple[str, str], Any]:
    """Each call that is answered otherwise: (found, expected, what was said)."""
    wrong = {}
    for method, route in expected:
        answer = walker.call(method, route, fresh=expected[method, route] < 300)
        if answer.status_code != expected[method, route]:
            wrong[method, route] = (answer.status_code, expected[method, route], answer.text[:300])
    return wrong


def shown(wrong: dict[Any, Any]) -> str:
    return "\n".join(f"{key}: {value}" for key, value in wrong.items())


def test_every_route_has_its_row(app: Doorward) -> None:
    assert set(api_routes(app)) == set(table())
    # What is shut to nobody says which capability opens it; but for the one door to which an API key is the key.
    shut = {one for one, said in table().items() if said["nobody"] == 401}
    assert {one for one, wanted in wanted_by(app).items() if not wanted} & shut == {("GET", "/api/v1/keys/self")}


def test_everybody_gets_what_the_table_says(app: Doorward, house: House) -> None:
    wrong: dict[Any, Any] = {}
    for caller in CALLERS[:-1]:
        name, _, case = caller.partition("+")
        headers = {} if name == "nobody" else bearer(token_of(name))
        walker = Walker(app, house, headers, in_case=name if case else None)
        expected = {one: table()[one][caller] for one in api_routes(app)}
        wrong |= {(caller, *one): said for one, said in differing(walker, expected).items()}
    assert not wrong, shown(wrong)


@ONE_DATABASE
def test_a_client_gets_what_its_scope_opens_by_either_of_its_tokens(app: Doorward, house: House) -> None:
    wanted, said = wanted_by(app), table()
    wrong: dict[Any, Any] = {}
    fitting: set[tuple[str, str]] = set()
    for scope in SCOPES:
        token = machines_of(app)(scope, name=scope).token or ""
        form = {"grant_type": "client_credentials", "client_id": client_id(scope), "client_secret": token}
        granted = app.test_client().post("/api/v1/auth/token", data=form).get_json()
        expected = {}
        for one in api_routes(app):
            fits = not wanted[one] or not SCOPES[scope].isdisjoint(wanted[one])
            fitting |= {one} if fits else set()
            expected[one] = CLOSER.get((scope, *one), said[one]["client"] if fits else 403)
        # By the other token all that it opens, and one door that it does not.
        shut = next(one for one in expected if one not in fitting and expected[one] == 403)
        opened = {one: status for one, status in expected.items() if status != 403 or one == shut}
        for carrier, carried, asked in (("static", token, expected), ("jwt", granted["access_token"], opened)):
            walker = Walker(app, house, bearer(carried))
            wrong |= {(scope, carrier, *one): told for one, told in differing(walker, asked).items()}
    assert not wrong, shown(wrong)
    # What no scope opens is for accounts alone.
    assert all(said[one]["client"] == 403 for one in set(said) - fitting)


@ONE_DATABASE
def test_each_permission_alone_opens_what_its_capabilities_do(app: Doorward, house: House) -> None:
    wanted, said = wanted_by(app), table()
    wrong: dict[Any, Any] = {}
    asked = [one for one in api_routes(app) if said[one]["max"] != said[one]["ada"]]
    for permission in sorted(PERMISSIONS):
        name = permission.replace(".", "-")
        make_account(name, permissions=[permission])
        held = of_permissions([permission])
        expected = {
            one: CLOSER.get((permission, *one), said[one]["max" if held.isdisjoint(wanted[one]) else "ada"])
            for one in asked
        }
        walker = Walker(app, house, bearer(token_of(name)))
        wrong |= {(permission, *one): told for one, told in differing(walker, expected).items()}
    assert not wrong, shown(wrong)


def test_no_other_credential_opens_a_door(app: Doorward, house: House) -> None:
    """An API key, a page's cookie, a token that is over, in whatever header: as if nobody came."""
    own = ("GET", "/api/v1/keys/self")
    said = {one: table()[one]["nobody"] for one in api_routes(app)}
    key, over = make_key(account_named("alice")), token_of("ada")
    clock.shift(timedelta(hours=1))
    carried = [({"Authorization": f"Bearer {key}"}, 200), ({"X-API-Key": key}, 200), (bearer(over), 401)]
    walkers = [(Walker(app, house, headers), status) for headers, status in carried]
    walkers.append((Walker(app, house, {}, cookies_of=signed_in(app, "ada").client), 401))
    wrong: dict[Any, Any] = {}
    for number, (walker, status) in enumerate(walkers):
        wrong |= {(number, *one): told for one, told in differing(walker, {**said, own: status}).items()}
    assert not wrong, shown(wrong)
