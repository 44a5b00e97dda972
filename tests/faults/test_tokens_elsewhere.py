"""S052 and S055: what takes a right away is felt by the next request with a token on another server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest
from sqlalchemy import select, update

from portal.accounts.models import Account
from portal.clients.models import ServiceClient
from portal.clients.service import disable_client
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.settings import Settings
from portal.signin.revoking import end_own_family
from portal.support.viewing import begin_viewing
from portal.tokens.access_tokens import read_access_token
from portal.tokens.families import living_families
from portal.web.frame import Doorward
from tests.conftest import machines_of
from tests.faults.test_sessions_elsewhere import ENDS, by_reset, found, in_one
from tests.people import PASSWORD, acting, actor_named, make_account
from tests.servers import Server, free_port, running_server

Pair = tuple[Server, Server]
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def setting() -> dict[str, str]:
    """One address for all servers of the site: it is in every token."""
    return {"site_url": "http://localhost:8000"}


@pytest.fixture
def pair(app: Doorward, settings: Settings) -> Iterator[Pair]:
    """Two servers of one site."""
    given = {"DATABASE_URL": settings.database_url, "DATA_DIR": str(settings.data_dir), "DURABILITY": "process"}
    with running_server(given | {"SITE_URL": settings.site_url}) as here:
        there = Server(here.data_dir, here.settings, port=free_port())
        there.start()
        yield here, there
        there.stop()


def grant(server: Server, **form: str) -> str:
    """An access token of this server."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    with server.caller() as caller:
        status, body, _ = caller.request("POST", "/api/v1/auth/token", urlencode(form).encode(), kind)
    assert status == 200, body
    return str(json.loads(body)["access_token"])


def status(server: Server, token: str, path: str = "/me") -> int:
    """What this token is answered there."""
    with server.caller(token) as caller:
        return caller.get(f"/api/v1{path}")[0]


def by_lock(account: Account) -> None:
    """Locked, as after the link of a mail."""
    db.session.execute(update(Account).where(Account.id == account.id).values(locked_at=clock.now()))


def by_closing(account: Account) -> None:
    """On the way out."""
    db.session.execute(update(Account).where(Account.id == account.id).values(state="closing"))


def by_own_hand(account: Account) -> None:
    """Ended on the page of sessions."""
    end_own_family(actor_named(account.username), living_families(account)[0].id)


MORE: dict[str, Callable[[Account], object]] = {"locked": by_lock, "closing": by_closing, "ended": by_own_hand}


def test_whatever_takes_a_right_away_is_felt_by_the_next_call_elsewhere(app: Doorward, pair: Pair) -> None:
    here, there = pair
    make_account("ada")
    wrong = []
    for name, end in {**ENDS, **MORE}.items():
        make_account(name, **({"permissions": ["audit.read", "users.read"]} if name == "warden" else {}))
        token = grant(here, grant_type="password", username=name, password=PASSWORD)
        assert status(there, token) == status(here, token) == 200, name
        db.session.rollback()
        end(found(name)) if end is by_reset else in_one(end, found(name))
        if (status(there, token), status(here, token)) != (401, 401):
            wrong.append(name)
        db.session.expire_all()
    assert wrong == []


@ONE_DATABASE
def test_no_token_exceeds_what_its_owner_may_by_now(app: Doorward, pair: Pair) -> None:
    here, there = pair
    secret = machines_of(app)("status:read", "audit:read", name="gate").token or ""
    client = db.session.scalars(select(ServiceClient).where(ServiceClient.name == "gate")).one()
    credentials = {"grant_type": "client_credentials", "client_id": str(client.id), "client_secret": secret}
    whole, narrow = grant(here, **credentials), grant(here, **credentials, scope="status:read")
    assert [status(there, one, "/audit") for one in (secret, whole, narrow)] == [200, 200, 403]
    with transaction():
        client.scopes = ["status:read"]
    assert [status(there, one, "/audit") for one in (secret, whole, narrow)] == [403, 403, 403]
    assert [status(there, one, "/status-checks") for one in (secret, whole, narrow)] == [200, 200, 200]
    with transaction():
        disable_client(operator_actor(), client.id)
    assert [status(there, one, "/status-checks") for one in (secret, whole, narrow)] == [401, 401, 401]
    # Nor does who sees pages as a user have a token of theirs.
    alice, tara = make_account("alice"), make_account("tara")
    who = acting("tara", alice)
    with transaction():
        begin_viewing(who, alice.id)
    token = grant(here, grant_type="password", username="tara", password=PASSWORD)
    claims = read_access_token(token)
    assert claims is not None
    assert (claims.subject, claims.act) == (tara.id, None)
    assert [status(there, token, path) for path in ("/me", "/me/keys", "/me/usage")] == [200, 403, 403]
