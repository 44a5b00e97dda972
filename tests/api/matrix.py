"""The table of who may call what over the API, and what is sent with each call so that whoever may gets through."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from portal.accounts.models import Account
from tests.pages.conftest import keep_prompt
from tests.pages.test_access import routes_of

if TYPE_CHECKING:
    from portal.web.frame import Doorward
    from tests.pages.conftest import House

API = "/api/v1"
# Accounts come with an access token and a password given just now; "+case" names in X-Case their own case about the
# user. Everybody gives a reason (X-Reason). Client: a service client that holds one scope that fits.
CALLERS = (
    "nobody", "alice", "bob", "tess", "tess+case", "theo", "theo+case", "tara", "tara+case", "ada", "max", "client",
)  # fmt: skip

# Status by caller of a call that is good in itself. It is about Alice, or about what is hers; what ends something does
# it to another Alice each time.
TABLE = """
GET    /audit                                401 403 403 403 403 403 403 403 403 200 403 200
POST   /auth/introspect                      401 403 403 403 403 403 403 403 403 403 403 200
POST   /auth/revoke                          200 200 200 200 200 200 200 200 200 200 200 200
POST   /auth/token                           400 400 400 400 400 400 400 400 400 400 400 400
POST   /keys/leaked                          202 202 202 202 202 202 202 202 202 202 202 202
GET    /keys/self                            401 401 401 401 401 401 401 401 401 401 401 401
POST   /keys/verify                          401 403 403 403 403 403 403 403 403 403 403 200
POST   /keys/verify-many                     401 403 403 403 403 403 403 403 403 403 403 200
GET    /message-logs                         401 403 403 403 403 403 403 403 403 200 403 200
GET    /message-logs/<uuid:log_id>           401 403 403 403 403 403 403 403 403 200 403 200
POST   /message-logs                         401 403 403 403 403 403 403 403 403 403 403 202
GET    /status-checks                        401 403 403 403 403 403 403 403 403 200 200 200
POST   /status-checks                        401 403 403 403 403 403 403 403 403 403 403 201
POST   /usage/consume                        401 403 403 403 403 403 403 403 403 403 403 200
POST   /usage/leases                         401 403 403 403 403 403 403 403 403 403 403 200
POST   /usage/leases/<uuid:lease_id>/settle  401 403 403 403 403 403 403 403 403 403 403 404
POST   /usage/refund                         401 403 403 403 403 403 403 403 403 403 403 404
GET    /users/<uuid:user_id>/prompts         401 403 403 403 403 403 403 403 403 403 403 200
POST   /users/<uuid:user_id>/prompts         401 403 403 403 403 403 403 403 403 403 403 201
DELETE /users/<uuid:user_id>/prompts/<uuid:prompt_id> 401 403 403 403 403 403 403 403 403 403 403 204
GET    /users/<uuid:user_id>/prompts/<uuid:prompt_id> 401 403 403 403 403 403 403 403 403 403 403 200
PATCH  /users/<uuid:user_id>/prompts/<uuid:prompt_id> 401 403 403 403 403 403 403 403 403 403 403 200
"""

FORMS: dict[tuple[str, str], dict[str, str]] = {
    ("POST", "/auth/introspect"): {"token": "dwr_nothing"},
    ("POST", "/auth/revoke"): {"token": "dwr_nothing"},
    ("POST", "/auth/token"): {"grant_type": "refresh_token", "refresh_token": "dwr_nothing"},
}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/keys/leaked"): {"key": "dw_nothing"},
    ("POST", "/keys/verify"): {"key": "dw_nothing"},
    ("POST", "/keys/verify-many"): {"items": [{"key": "dw_nothing"}]},
    ("POST", "/message-logs"): {"username": "alice", "prompt": "p", "response": "r"},
    ("POST", "/status-checks"): {"client_name": "gate"},
    ("POST", "/usage/consume"): {"username": "alice"},
    ("POST", "/usage/leases"): {"username": "alice", "conversations": 1, "credits": 0, "ttl_s": 60},
    ("POST", "/usage/leases/<uuid:lease_id>/settle"): {"used": {"conversations": 0, "credits": 0}},
    ("POST", "/usage/refund"): {"decision_id": "00000000-0000-7000-8000-000000000000"},
    ("POST", "/users/<uuid:user_id>/prompts"): {"title": "t", "content": "c"},
    ("PATCH", "/users/<uuid:user_id>/prompts/<uuid:prompt_id>"): {"title": "t"},
}
# What the addresses name.
THINGS = {
    "user_id": "alice",
    "log_id": "alice's log",
    "lease_id": "alice's refusal",
    "prompt_id": "alice's prompt",
}
# What ends a thing, or can be done to it once, gets a new one of these for each call. Answers what the address names.
FRESH: dict[tuple[str, str], Callable[[Account], dict[str, UUID]]] = {
    ("DELETE", "/users/<uuid:user_id>/prompts/<uuid:prompt_id>"): lambda alice: {"prompt_id": keep_prompt(alice)},
}


@cache
def table() -> dict[tuple[str, str], dict[str, int]]:
    """TABLE as {(method, route): {caller: status}}."""
    rows = [line.split() for line in TABLE.strip().splitlines()]
    return {(row[0], API + row[1]): dict(zip(CALLERS, map(int, row[2:]), strict=True)) for row in rows}


def api_routes(app: Doorward) -> list[tuple[str, str]]:
    """Every (method, route) of the API; looks come before changes."""
    found = [one for one in routes_of(app) if one[1].startswith(API)]
    return sorted(found, key=lambda one: (one[0] != "GET", one[0] == "DELETE", one[1]))


def sent_with(method: str, route: str) -> dict[str, Any]:
    """The body of a call that is good in itself, as the test client takes it."""
    one = (method, route.removeprefix(API))
    if one in FORMS:
        return {"data": FORMS[one]}
    return {"json": BODIES[one]} if one in BODIES else {}


def address_of(method: str, route: str, house: House, alice: Account) -> tuple[str, UUID]:
    """The address of a call, and whom it is about."""
    named: dict[str, Any] = {name: house[thing] for name, thing in THINGS.items()}
    if make := FRESH.get((method, route.removeprefix(API))):
        named |= make(alice)
    filled = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(named[found[1]]), route)
    return filled, named["user_id"]
