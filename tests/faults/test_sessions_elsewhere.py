"""Sessions over two real servers of one database: what ends one is felt by the next request at the other; and what a
change of SECRET_KEY does to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from portal.accounts.lifecycle import change_level, change_permissions, suspend
from portal.accounts.links import Purpose, make_link
from portal.accounts.models import Account
from portal.core import access, clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.core.settings import Settings
from portal.privacy.deletion import delete_user, restore_user
from portal.privacy.disowning import disown
from portal.signin.changing import change_password
from portal.signin.email_change import confirm_email_change
from portal.signin.ending import end_other_sessions, end_sessions_of
from portal.signin.models import SignInNetwork
from portal.signin.reset import reset_password
from portal.web.frame import Doorward
from tests.people import PASSWORD, actor_named, make_account
from tests.servers import Server, free_port, running_server
from tests.signin.phones import enrol

OTHER = "other quiet lanterns"
KEYS = ("first-key-" + "a" * 40, "second-key-" + "b" * 40)


@dataclass
class Web:
    """A browser that goes to whichever server it is told, with its cookies."""

    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, server: Server, path: str, data: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Status, body and Location of a page."""
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        body = None
        if data is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(data).encode()
        with server.caller() as caller:
            status, answer, headers = caller.request("POST" if body else "GET", path, body, sent)
        for name, value in re.findall(r"(doorward[\w-]*)=([^;,]+)", headers.get("set-cookie", "")):
            self.cookies[name] = value
        return status, answer.decode(), headers.get("location", "")

    def token(self, server: Server, path: str) -> str:
        """The CSRF token of a page."""
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.ask(server, path)[1])
        assert found is not None
        return found[1]

    def sign_in(self, server: Server, name: str) -> None:
        """Sign in by the form."""
        data = {"csrf_token": self.token(server, "/sign-in"), "name": name, "password": PASSWORD}
        status, answer, location = self.ask(server, "/sign-in", data)
        assert (status, location) in {(302, "/account"), (302, "/staff"), (302, "/admin")}, answer

    def is_in(self, server: Server) -> bool:
        """Whether a page of somebody signed in opens. Nothing but that page and the way to the door is an answer."""
        status, _, location = self.ask(server, "/account/profile")
        assert (status, location.partition("?")[0]) in {(200, ""), (302, "/sign-in")}
        return status == 200


@pytest.fixture
def pair(served: Server) -> Iterator[tuple[Server, Server]]:
    """Two servers of one database."""
    other = Server(served.data_dir, served.settings, port=free_port())
    other.start()
    yield served, other
    other.stop()


def found(name: str) -> Account:
    """The record, as a third instance reads it."""
    return db.session.scalars(select(Account).where(Account.username_canonical == name)).one()


def by_reset(account: Account) -> None:
    """A new password by link."""
    with transaction():
        token = make_link(Purpose.RESET, account).rpartition("/")[2]
    with transaction():
        reset_password(operator_actor(), token, OTHER)


def by_new_email(account: Account) -> None:
    """Another address."""
    facts = dict.fromkeys(("email", "canonical"), f"new-{account.username}@example.org")
    token = make_link(Purpose.NEW_EMAIL, account, facts).rpartition("/")[2]
    confirm_email_change(operator_actor(), token)


def by_disowning(account: Account) -> None:
    """The link of the mail about a sign-in."""
    disown(operator_actor(), make_link(Purpose.NOT_ME, account, {}).rpartition("/")[2])


def by_deletion(account: Account) -> None:
    """Deleted, and restored."""
    delete_user(operator_actor().because("asked"), account.id, typed_name=account.username)
    db.session.flush()
    restore_user(operator_actor(), account.id)


def by_network(account: Account) -> None:
    """Its kind may come from elsewhere only."""
    row = SignInNetwork(id=new_id(), kind=account.kind, network="192.0.2.0/24", created_at=clock.now())
    db.session.add(row)


def in_one(end: Callable[[Account], object], account: Account) -> None:
    """End it in one transaction."""
    with transaction():
        end(account)


ENDS: dict[str, Callable[[Account], object]] = {
    "suspended": lambda account: suspend(operator_actor().because("spam"), account.id),
    "deleted": by_deletion,
    "reset": by_reset,
    "changed": lambda account: change_password(actor_named(account.username), PASSWORD, OTHER),
    "moved": by_new_email,
    "disowned": by_disowning,
    "others": lambda account: end_other_sessions(actor_named(account.username)),
    "managed": lambda account: end_sessions_of(operator_actor().because("lost laptop"), account.id),
    "tess": lambda account: change_level(operator_actor(), account.id, 2),
    "warden": lambda account: change_permissions(operator_actor(), account.id, []),
    "theo": by_network,
}


def test_whatever_ends_a_session_is_felt_by_the_next_request_elsewhere(
    app: Doorward, pair: tuple[Server, Server]
) -> None:
    here, there = pair
    make_account("ada")
    wrong = []
    for name, end in ENDS.items():
        make_account(name, **({"permissions": sorted(access.PERMISSIONS)} if name == "warden" else {}))
        browser = Web()
        browser.sign_in(here, name)
        kept = Web(dict(browser.cookies))
        assert kept.is_in(there), name
        db.session.rollback()
        end(found(name)) if end is by_reset else in_one(end, found(name))
        if kept.is_in(there) or browser.is_in(here):
            wrong.append(name)
        db.session.expire_all()
    assert wrong == []
    for server in pair:
        assert "Traceback" not in server.output


def test_a_cookie_of_before_signing_out_or_proving_oneself_is_dead_elsewhere(
    app: Doorward, pair: tuple[Server, Server]
) -> None:
    here, there = pair
    make_account("alice")
    browser = Web()
    browser.sign_in(here, "alice")
    kept = Web(dict(browser.cookies))
    assert kept.is_in(there)
    browser.ask(here, "/sign-out", {"csrf_token": browser.token(here, "/account/profile")})
    assert not kept.is_in(there)
    enrol("alice")
    make_account("bob")
    browser.sign_in(here, "bob")
    kept = Web(dict(browser.cookies))
    assert kept.is_in(there)
    enrol("bob")  # a second factor that is added ends the others
    assert not kept.is_in(there)


def test_a_rotated_secret_key_keeps_sessions_and_one_taken_away_ends_them(app: Doorward, settings: Settings) -> None:
    make_account("alice")
    make_account("bob")
    given = {"DATABASE_URL": settings.database_url, "DATA_DIR": str(settings.data_dir), "DURABILITY": "process"}
    first, second = KEYS
    browser, later = Web(), Web()
    with running_server({**given, "SECRET_KEY": first}) as server:
        browser.sign_in(server, "alice")
        assert "SECRET_KEY" not in server.output
    kept = Web(dict(browser.cookies))
    with running_server({**given, "SECRET_KEY": second, "SECRET_KEY_FALLBACKS": first}) as server:
        assert kept.is_in(server)
        later.sign_in(server, "bob")
        assert "SECRET_KEY" not in server.output
        assert "ok       secret key" in server.command("check")
    with running_server({**given, "SECRET_KEY": second}) as server:
        assert not browser.is_in(server)  # signed by the key that is gone
        assert later.is_in(server)  # signed by the new key alone
        assert later.ask(server, "/account/profile")[0] == 200
    with running_server({**given, "SECRET_KEY": first}) as server:
        assert not later.is_in(server)
        assert "SECRET_KEY is not the one this database was served with last" in server.output
        other = Server(server.data_dir, {**server.settings, "SECRET_KEY": second}, port=server.port)
        assert "warning  secret key: SECRET_KEY is not the one" in other.attempt("check").stdout
        later.sign_in(server, "bob")
        assert "Traceback" not in server.output
