"""A session is a row: dead the moment it ends, whatever cookie is kept. Through the pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from itsdangerous import base64_decode
from sqlalchemy import select

from portal.accounts.lifecycle import reactivate, suspend
from portal.accounts.models import Account
from portal.core import clock, crypto
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.privacy.deletion import delete_user, restore_user
from portal.signin.models import SignInSession
from portal.signin.reset import reset_password, start_reset
from portal.signin.sessions import end_own_session, living_sessions
from portal.web.frame import Doorward
from tests.people import PASSWORD, actor_named, make_account
from tests.visitor import Visitor

COOKIE = "doorward"


def cookie(visitor: Visitor) -> str:
    """The value of the session cookie."""
    kept = visitor.client.get_cookie(COOKIE)
    assert kept is not None
    return kept.value


def thief(app: Doorward, stolen: str) -> Visitor:
    """Another browser with this cookie."""
    client = app.test_client()
    client.set_cookie(COOKIE, stolen)
    return Visitor(client)


def is_in(visitor: Visitor) -> bool:
    """Whether the browser is signed in."""
    return visitor.get("/account/profile", follow=False).status == 200


def test_a_cookie_kept_from_before_sign_out_is_dead(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    kept = cookie(alice)
    assert is_in(thief(app, kept))
    alice.sign_out()
    assert not is_in(alice)
    assert not is_in(thief(app, kept))


def _suspend(account: Account) -> None:
    suspend(operator_actor().because("spam"), account.id)


def _suspend_and_reactivate(account: Account) -> None:
    _suspend(account)
    reactivate(operator_actor(), account.id)


def _delete(account: Account) -> None:
    delete_user(operator_actor().because("asked"), account.id, typed_name=account.username)


def _delete_and_restore(account: Account) -> None:
    _delete(account)
    db.session.flush()
    restore_user(operator_actor(), account.id)


ENDS: list[Callable[[Account], None]] = [_suspend, _suspend_and_reactivate, _delete, _delete_and_restore]


@pytest.mark.parametrize("end", ENDS)
def test_a_session_ends_with_its_account(
    app: Doorward, person: Callable[..., Visitor], end: Callable[[Account], None]
) -> None:
    alice = person("alice")
    account = db.session.scalars(select(Account)).one()
    with transaction():
        end(account)
    assert not is_in(alice)
    assert alice.get("/account", follow=False).response.headers["Location"].startswith("/sign-in?next=")


def test_a_reset_ends_every_session(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    account = db.session.scalars(select(Account)).one()
    with transaction():
        link = start_reset(operator_actor(), account.id)
    assert link is not None
    with transaction():
        reset_password(operator_actor(), link.rpartition("/")[2], "other quiet lanterns")
    assert not is_in(alice)
    assert not is_in(thief(app, cookie(alice)))


@pytest.mark.parametrize(("name", "idle"), [("alice", timedelta(days=14)), ("tess", timedelta(hours=1))])
def test_an_idle_session_dies(person: Callable[..., Visitor], name: str, idle: timedelta) -> None:
    visitor = person(name)
    clock.shift(idle - timedelta(seconds=5))
    assert is_in(visitor)
    clock.shift(clock.offset() + idle - timedelta(seconds=5))
    assert is_in(visitor)
    clock.shift(clock.offset() + idle + timedelta(seconds=5))
    assert not is_in(visitor)
    clock.shift(timedelta(seconds=1))
    assert is_in(visitor)  # judged by the server's clock alone


def test_a_page_that_refreshes_itself_is_not_use(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    for _ in range(5):
        clock.shift(clock.offset() + timedelta(minutes=13))
        ada.get("/admin?poll=1")
    assert not is_in(ada)


@pytest.mark.parametrize(
    ("name", "step", "longest"),
    [("alice", timedelta(days=10), timedelta(days=30)), ("ada", timedelta(minutes=50), timedelta(hours=12))],
)
def test_no_use_keeps_a_session_for_ever(
    person: Callable[..., Visitor], name: str, step: timedelta, longest: timedelta
) -> None:
    visitor = person(name)
    while clock.offset() + step < longest:
        clock.shift(clock.offset() + step)
        assert is_in(visitor)
    clock.shift(longest + timedelta(seconds=1))
    assert not is_in(visitor)


@pytest.mark.parametrize("setting", [{"session_idle_user_s": 60, "session_max_user_s": 120}])
def test_the_settings_shorten_it(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    clock.shift(timedelta(seconds=55))
    assert is_in(alice)
    clock.shift(timedelta(seconds=61))
    assert not is_in(alice)


def test_last_use_is_written_at_most_once_a_minute(person: Callable[..., Visitor]) -> None:
    alice = person("alice")

    def seen() -> Any:
        return db.session.scalars(select(SignInSession.last_seen_at)).one()

    first = seen()
    clock.shift(timedelta(seconds=50))
    alice.get("/account/profile")
    assert seen() == first
    clock.shift(timedelta(seconds=70))
    alice.get("/account/profile")
    assert seen() > first
    assert db.session.scalars(select(Account.last_seen_at)).one() >= seen()


def test_signing_in_begins_another_session(app: Doorward) -> None:
    make_account("alice")
    visitor = Visitor(app.test_client())
    visitor.get("/sign-in")
    before = cookie(visitor)
    visitor.sign_in("alice")
    first = cookie(visitor)
    assert before != first
    assert not is_in(thief(app, before))
    visitor.client.post("/sign-in", data={})
    visitor.sign_out()
    visitor.sign_in("alice")
    assert cookie(visitor) != first
    digests = db.session.scalars(select(SignInSession.digest)).all()
    assert len(set(digests)) == 2


def test_a_planted_cookie_is_not_taken_over(app: Doorward) -> None:
    make_account("alice")
    attacker = Visitor(app.test_client())
    attacker.get("/sign-in")
    planted = cookie(attacker)
    victim = thief(app, planted)
    victim.sign_in("alice")
    assert is_in(victim)
    assert not is_in(attacker)
    assert not is_in(thief(app, planted))


def test_the_cookie_tells_nothing_of_the_person_and_the_row_keeps_a_digest(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    secret = alice_secret(alice)
    row = db.session.scalars(select(SignInSession)).one()
    assert len(secret) == 43
    assert row.digest == crypto.digest(secret)
    assert secret.encode() not in row.digest
    shown = base64_decode(cookie(alice).split(".")[0])
    for told in (b"alice", b"user", str(row.account_id).encode(), row.account_id.hex.encode(), row.id.hex.encode()):
        assert told not in shown


def alice_secret(visitor: Visitor) -> str:
    """The secret in the cookie."""
    with visitor.client.session_transaction() as session:
        return str(session["sid"])


@pytest.mark.parametrize("change", ["flip", "cut", "empty", "unsigned"])
def test_a_forged_cookie_is_nobody(app: Doorward, person: Callable[..., Visitor], change: str) -> None:
    value = cookie(person("alice"))
    forged = {
        "flip": value[:-3] + ("A" if value[-3] != "A" else "B") + value[-2:],
        "cut": value[: len(value) // 2],
        "empty": "",
        "unsigned": value.split(".")[0],
    }[change]
    assert not is_in(thief(app, forged))


def test_own_sessions_can_be_ended_and_others_are_not_there(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice, other = person("alice"), person("bobby")
    second = Visitor(app.test_client())
    second.sign_in("alice")
    mine = living_sessions(db.session.scalars(select(Account).where(Account.username == "alice")).one())
    theirs = living_sessions(db.session.scalars(select(Account).where(Account.username == "bobby")).one())
    assert (len(mine), len(theirs)) == (2, 1)
    for wrong in (theirs[0].id, new_id()):
        with pytest.raises(NotFound):
            end_own_session(actor_named("alice"), wrong)
    with transaction():
        end_own_session(actor_named("alice"), mine[0].id)
    assert [is_in(alice), is_in(second)].count(True) == 1
    assert is_in(other)


def test_another_secret_key_ends_sessions_unless_it_is_a_fallback(
    app: Doorward, person: Callable[..., Visitor]
) -> None:
    alice = person("alice")
    assert is_in(alice)  # from here on nothing in the cookie changes, so that it is not signed anew
    former = app.config["SECRET_KEY"]
    app.config.update(SECRET_KEY="n" * 43, SECRET_KEY_FALLBACKS=[former])
    assert is_in(alice)
    app.config.update(SECRET_KEY_FALLBACKS=[])
    assert not is_in(alice)


def test_the_password_itself_is_needed_again_after_the_end(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    alice.sign_out()
    assert alice.get("/account").path == "/sign-in"
    assert alice.sign_in("alice", PASSWORD + "x").status == 422
    assert alice.sign_in("alice").path == "/account"
