"""The table of who may call what over the API, and what is sent with each call so that whoever may gets through."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from portal.accounts.models import Account
from portal.core import crypto
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.keys.service import build_key
from portal.privacy.deletion import delete_user
from portal.signin.models import SignInSession
from portal.signin.sessions import begin_session
from portal.usage.plans import PlanTerms, create_plan
from tests.pages.conftest import keep_prompt
from tests.pages.test_access import routes_of
from tests.people import PASSWORD, make_account

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
GET    /audit                                           401 403 403 403 403 403 403 403 403 200 403 200
POST   /auth/introspect                                 401 403 403 403 403 403 403 403 403 403 403 200
GET    /auth/me                                         401 200 200 200 200 200 200 200 200 200 200 403
POST   /auth/register                                   201 201 201 201 201 201 201 201 201 201 201 201
POST   /auth/revoke                                     200 200 200 200 200 200 200 200 200 200 200 200
POST   /auth/token                                      400 400 400 400 400 400 400 400 400 400 400 400
POST   /keys/leaked                                     202 202 202 202 202 202 202 202 202 202 202 202
GET    /keys/self                                       401 401 401 401 401 401 401 401 401 401 401 401
POST   /keys/verify                                     401 403 403 403 403 403 403 403 403 403 403 200
POST   /keys/verify-many                                401 403 403 403 403 403 403 403 403 403 403 200
GET    /me                                              401 200 200 200 200 200 200 200 200 200 200 403
PATCH  /me                                              401 200 200 200 200 200 200 200 200 200 200 403
GET    /me/activity                                     401 200 200 200 200 200 200 200 200 200 200 403
GET    /me/credits                                      401 200 200 403 403 403 403 403 403 403 403 403
GET    /me/keys                                         401 200 200 403 403 403 403 403 403 403 403 403
POST   /me/keys                                         401 201 201 403 403 403 403 403 403 403 403 403
DELETE /me/keys/<uuid:key_id>                           401 204 404 403 403 403 403 403 403 403 403 403
GET    /me/keys/<uuid:key_id>                           401 200 404 403 403 403 403 403 403 403 403 403
PATCH  /me/keys/<uuid:key_id>                           401 200 404 403 403 403 403 403 403 403 403 403
POST   /me/keys/<uuid:key_id>/rotate                    401 201 404 403 403 403 403 403 403 403 403 403
GET    /me/message-logs                                 401 200 200 403 403 403 403 403 403 403 403 403
GET    /me/message-logs/<uuid:log_id>                   401 200 404 403 403 403 403 403 403 403 403 403
GET    /me/prompts                                      401 200 200 403 403 403 403 403 403 403 403 403
POST   /me/prompts                                      401 201 201 403 403 403 403 403 403 403 403 403
DELETE /me/prompts/<uuid:prompt_id>                     401 204 404 403 403 403 403 403 403 403 403 403
GET    /me/prompts/<uuid:prompt_id>                     401 200 404 403 403 403 403 403 403 403 403 403
PATCH  /me/prompts/<uuid:prompt_id>                     401 200 404 403 403 403 403 403 403 403 403 403
DELETE /me/sessions                                     401 204 204 204 204 204 204 204 204 204 204 403
GET    /me/sessions                                     401 200 200 200 200 200 200 200 200 200 200 403
DELETE /me/sessions/<uuid:session_id>                   401 204 404 404 404 404 404 404 404 404 404 403
GET    /me/usage                                        401 200 200 403 403 403 403 403 403 403 403 403
GET    /message-logs                                    401 403 403 403 403 403 403 403 403 200 403 200
POST   /message-logs                                    401 403 403 403 403 403 403 403 403 403 403 202
GET    /message-logs/<uuid:log_id>                      401 403 403 403 403 403 403 403 403 200 403 200
GET    /openapi.json                                     200 200 200 200 200 200 200 200 200 200 200 200
GET    /plans                                           401 403 403 403 403 403 403 200 200 200 403 200
POST   /plans                                           401 403 403 403 403 403 403 403 403 201 403 201
DELETE /plans/<uuid:plan_id>                            401 403 403 403 403 403 403 403 403 204 403 204
GET    /plans/<uuid:plan_id>                            401 403 403 403 403 403 403 403 403 200 403 200
PATCH  /plans/<uuid:plan_id>                            401 403 403 403 403 403 403 403 403 200 403 200
GET    /status-checks                                   401 403 403 403 403 403 403 403 403 200 200 200
POST   /status-checks                                   401 403 403 403 403 403 403 403 403 403 403 201
POST   /usage/consume                                   401 403 403 403 403 403 403 403 403 403 403 200
POST   /usage/leases                                    401 403 403 403 403 403 403 403 403 403 403 200
POST   /usage/leases/<uuid:lease_id>/settle             401 403 403 403 403 403 403 403 403 403 403 404
POST   /usage/refund                                    401 403 403 403 403 403 403 403 403 403 403 404
GET    /users                                           401 403 403 200 200 200 200 200 200 200 403 200
POST   /users                                           401 403 403 403 403 403 403 403 403 201 403 201
DELETE /users/<uuid:user_id>                            401 403 403 403 403 403 403 403 403 204 403 204
GET    /users/<uuid:user_id>                            401 403 403 200 200 200 200 200 200 200 403 200
PATCH  /users/<uuid:user_id>                            401 403 403 403 403 403 403 403 403 200 403 200
GET    /users/<uuid:user_id>/credits                    401 403 403 403 403 403 200 403 200 200 403 200
POST   /users/<uuid:user_id>/credits                    401 403 403 403 403 403 403 403 201 201 403 201
GET    /users/<uuid:user_id>/keys                       401 403 403 200 200 200 200 200 200 200 403 200
POST   /users/<uuid:user_id>/keys                       401 403 403 403 403 403 403 403 403 201 403 201
DELETE /users/<uuid:user_id>/keys/<uuid:key_id>         401 403 403 403 403 403 204 403 204 204 403 204
PATCH  /users/<uuid:user_id>/keys/<uuid:key_id>         401 403 403 403 403 403 403 403 403 200 403 200
POST   /users/<uuid:user_id>/keys/<uuid:key_id>/rotate  401 403 403 403 403 403 403 403 403 201 403 201
GET    /users/<uuid:user_id>/prompts                    401 403 403 403 403 403 403 403 403 403 403 200
POST   /users/<uuid:user_id>/prompts                    401 403 403 403 403 403 403 403 403 403 403 201
DELETE /users/<uuid:user_id>/prompts/<uuid:prompt_id>   401 403 403 403 403 403 403 403 403 403 403 204
GET    /users/<uuid:user_id>/prompts/<uuid:prompt_id>   401 403 403 403 403 403 403 403 403 403 403 200
PATCH  /users/<uuid:user_id>/prompts/<uuid:prompt_id>   401 403 403 403 403 403 403 403 403 403 403 200
POST   /users/<uuid:user_id>/reactivate                 401 403 403 403 403 403 403 403 200 200 403 200
POST   /users/<uuid:user_id>/restore                    401 403 403 403 403 403 403 403 200 200 403 200
POST   /users/<uuid:user_id>/suspend                    401 403 403 403 403 403 403 403 200 200 403 200
GET    /users/<uuid:user_id>/usage                      401 403 403 200 200 200 200 200 200 200 403 200
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
    ("POST", "/auth/register"): {"username": "new#", "email": "new#@example.org", "password": PASSWORD},
    ("PATCH", "/me"): {"time_zone": "Europe/Berlin"},
    ("POST", "/me/keys"): {"name": "key #"},
    ("PATCH", "/me/keys/<uuid:key_id>"): {"name": "key #"},
    ("POST", "/me/keys/<uuid:key_id>/rotate"): {},
    ("POST", "/users/<uuid:user_id>/keys"): {"name": "key #"},
    ("PATCH", "/users/<uuid:user_id>/keys/<uuid:key_id>"): {"name": "key #"},
    ("POST", "/users/<uuid:user_id>/keys/<uuid:key_id>/rotate"): {},
    ("POST", "/me/prompts"): {"title": "t", "content": "c"},
    ("PATCH", "/me/prompts/<uuid:prompt_id>"): {"title": "t"},
    ("POST", "/plans"): {"name": "plan-#", "daily_limit": 5},
    ("PATCH", "/plans/<uuid:plan_id>"): {"daily_limit": 7},
    ("POST", "/users"): {"username": "guest#", "email": "guest#@example.org", "deliver": "return"},
    ("PATCH", "/users/<uuid:user_id>"): {"display_name": "Alice A."},
    ("POST", "/users/<uuid:user_id>/credits"): {"amount": 1},
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
    "key_id": "alice's key",
    "session_id": "alice's session",
    "plan_id": "plan",
}
QUERIES = {("GET", "/users"): "?q=alice"}
NUMBERS = count(1)


def of_prompt(alice: Account) -> dict[str, UUID]:
    """A new prompt of Alice."""
    return {"prompt_id": keep_prompt(alice)}


def of_key(alice: Account) -> dict[str, UUID]:
    """A new key of Alice."""
    with transaction():
        made = build_key(alice.id, "test key")
        db.session.add(made.key)
    return {"key_id": made.key.id}


def of_session(alice: Account) -> dict[str, UUID]:
    """A new session of Alice."""
    with transaction():
        digest = crypto.digest(begin_session(alice, address="203.0.113.9", device="Firefox/140.0 Linux"))
    return {"session_id": db.session.scalars(select(SignInSession.id).where(SignInSession.digest == digest)).one()}


def of_plan(_alice: Account) -> dict[str, UUID]:
    """A plan that nobody has."""
    with transaction():
        return {"plan_id": create_plan(operator_actor(), PlanTerms(f"spare-{next(NUMBERS)}", daily_limit=5)).id}


def like_alice(state: str) -> Callable[[Account], dict[str, UUID]]:
    """What makes another user in that state."""

    def make(_alice: Account) -> dict[str, UUID]:
        name = f"alice-{next(NUMBERS)}"
        user = make_account(name, state="active" if state == "deleted" else state)
        if state == "deleted":
            with transaction():
                delete_user(operator_actor().because("asked for it"), user.id, typed_name=name)
        return {"user_id": user.id}

    return make


def key_of_another(alice: Account) -> dict[str, UUID]:
    """A key of another user, for of keys one may have few."""
    made = like_alice("active")(alice)
    return made | of_key(db.session.get_one(Account, made["user_id"]))


# What ends a thing, or can be done to it once, gets a new one of these for each call. Answers what the address names.
FRESH: dict[tuple[str, str], Callable[[Account], dict[str, UUID]]] = {
    ("DELETE", "/users/<uuid:user_id>/prompts/<uuid:prompt_id>"): of_prompt,
    ("DELETE", "/me/prompts/<uuid:prompt_id>"): of_prompt,
    ("DELETE", "/me/keys/<uuid:key_id>"): of_key,
    ("POST", "/me/keys/<uuid:key_id>/rotate"): of_key,
    ("POST", "/users/<uuid:user_id>/keys"): like_alice("active"),
    ("DELETE", "/users/<uuid:user_id>/keys/<uuid:key_id>"): key_of_another,
    ("POST", "/users/<uuid:user_id>/keys/<uuid:key_id>/rotate"): key_of_another,
    ("DELETE", "/me/sessions/<uuid:session_id>"): of_session,
    ("DELETE", "/plans/<uuid:plan_id>"): of_plan,
    ("DELETE", "/users/<uuid:user_id>"): like_alice("active"),
    ("POST", "/users/<uuid:user_id>/suspend"): like_alice("active"),
    ("POST", "/users/<uuid:user_id>/reactivate"): like_alice("suspended"),
    ("POST", "/users/<uuid:user_id>/restore"): like_alice("deleted"),
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
    if one not in BODIES:
        return {}
    number = str(next(NUMBERS))  # names are given once
    return {
        "json": {
            name: said.replace("#", number) if isinstance(said, str) else said for name, said in BODIES[one].items()
        }
    }


def address_of(method: str, route: str, house: House, alice: Account, *, fresh: bool = True) -> tuple[str, UUID]:
    """The address of a call, and whom it is about; where it will end something, that is a `fresh` one."""
    named: dict[str, Any] = {name: house[thing] for name, thing in THINGS.items()}
    if fresh and (make := FRESH.get((method, route.removeprefix(API)))):
        named |= make(alice)
    filled = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(named[found[1]]), route)
    return filled + QUERIES.get((method, route.removeprefix(API)), ""), named["user_id"]
