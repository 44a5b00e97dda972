"""Proving oneself again: what it asks, what it gives, how guessing at it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import check_recent
from portal.core.actor import Actor
from portal.core.database import db, transaction
from portal.core.errors import Invalid, LimitReached, ReauthNeeded, SignInNeeded
from portal.signin import reauth, throttle
from portal.signin.models import SignInSession
from portal.signin.sessions import actor_of
from portal.web.frame import Doorward
from tests.people import PASSWORD
from tests.signin.test_sessions import cookie, is_in, thief
from tests.visitor import Visitor

LATER = timedelta(minutes=5, seconds=1)


def row() -> SignInSession:
    """The only session there is."""
    db.session.expire_all()
    return db.session.scalars(select(SignInSession)).one()


def sitting() -> Actor:
    """The actor of the only session."""
    account = db.session.scalars(select(Account)).one()
    return actor_of(account, address="203.0.113.9", request_id="test", session=row())


def events() -> list[tuple[str, str]]:
    """What was recorded of proving oneself."""
    entries = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    return [(one.event, one.result) for one in entries if "confirmed" in one.event]


def test_whoever_proved_it_lately_is_led_straight_on(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    assert alice.get("/account/reauth?next=/account/keys", follow=False).response.headers["Location"] == "/account/keys"
    clock.shift(timedelta(minutes=4, seconds=59))
    assert alice.get("/account/reauth?next=/account/keys").path == "/account/keys"
    clock.shift(LATER)
    assert alice.get("/account/reauth?next=/account/keys").path == "/account/reauth"


def test_the_right_password_renews_the_session_and_the_earlier_cookie_is_dead(
    app: Doorward, person: Callable[..., Visitor]
) -> None:
    alice = person("alice")
    clock.shift(LATER)
    before, kept = row(), cookie(alice)
    digest = before.digest
    assert is_in(thief(app, kept))
    page = alice.send(alice.get("/account/reauth?next=/account/keys"), {"password": PASSWORD})
    assert page.path == "/account/keys"
    after = row()
    assert after.id == before.id
    assert after.digest != digest
    assert after.entered_at >= clock.now() - timedelta(seconds=10)
    assert after.proven_at is not None
    assert after.proven_at >= clock.now() - timedelta(seconds=10)
    assert not is_in(thief(app, kept))
    assert is_in(alice)
    assert events() == [("sign_in.confirmed", "done")]


def test_where_it_leads_is_on_this_site(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    clock.shift(LATER)
    page = alice.get("/account/reauth?next=https://evil.example/")
    assert alice.send(page, {"password": PASSWORD}, follow=False).response.headers["Location"] == "/account"


def test_a_wrong_password_leaves_all_as_it_was_and_the_fifth_ends_the_session(
    app: Doorward, person: Callable[..., Visitor]
) -> None:
    alice = person("alice")
    clock.shift(LATER)
    entered = row().entered_at
    for _ in range(4):
        page = alice.send(alice.get("/account/reauth?next=/account/keys"), {"password": "wrong"})
        assert page.status == 422
        assert "not the password" in page.text
        assert row().entered_at == entered
    kept = cookie(alice)
    assert is_in(thief(app, kept))
    page = alice.send(alice.get("/account/reauth?next=/account/keys"), {"password": "wrong"})
    assert page.path == "/sign-in"
    assert "you are signed out" in page.text
    assert not is_in(thief(app, kept))
    assert events() == [("sign_in.not_confirmed", "refused")] * 5


def test_nothing_typed_is_no_wrong_answer(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    clock.shift(LATER)
    for _ in range(6):
        assert alice.send(alice.get("/account/reauth")).status == 422
    assert is_in(alice)
    assert events() == []


def test_a_right_answer_begins_the_count_anew(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    for _ in range(3):
        clock.shift(clock.offset() + LATER)
        for _ in range(4):
            alice.send(alice.get("/account/reauth"), {"password": "wrong"})
        assert alice.prove_again().path == "/account"
    assert is_in(alice)


def test_another_session_of_the_account_is_not_proven_with_it(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    other = Visitor(app.test_client())
    other.sign_in("alice")
    clock.shift(LATER)
    alice.prove_again()
    assert other.get("/account/reauth").path == "/account/reauth"


def test_guessing_is_limited_over_all_sessions_of_an_account(app: Doorward, person: Callable[..., Visitor]) -> None:
    person("alice")
    browsers = [Visitor(app.test_client()) for _ in range(3)]
    for browser in browsers:
        browser.sign_in("alice")
    clock.shift(LATER)
    for browser in browsers[:2]:
        for _ in range(5):
            browser.send(browser.get("/account/reauth"), {"password": "wrong"})
    page = browsers[2].send(browsers[2].get("/account/reauth"), {"password": PASSWORD})
    assert page.status == 429
    assert int(page.response.headers["Retry-After"]) <= 900
    assert Visitor(app.test_client()).sign_in("alice").path == "/account"  # the way in stays open


@pytest.mark.parametrize("ended", [True, False])
def test_an_answer_that_comes_after_the_end_opens_nothing(person: Callable[..., Visitor], ended: bool) -> None:
    alice = person("alice")
    clock.shift(LATER)
    who = sitting()
    if ended:
        alice.sign_out()
        with pytest.raises(SignInNeeded), transaction():
            reauth.prove_again(who, factor=False, password=PASSWORD)
    else:
        with transaction():
            assert reauth.prove_again(who, factor=False, password=PASSWORD)


@pytest.mark.parametrize(
    ("since", "factor", "recent"),
    [
        (timedelta(minutes=5), False, True),
        (timedelta(minutes=5, microseconds=1), False, False),
        (timedelta(minutes=10), True, True),
        (timedelta(minutes=10, microseconds=1), True, False),
    ],
)
def test_how_long_it_lasts_to_the_moment(
    person: Callable[..., Visitor],
    monkeypatch: pytest.MonkeyPatch,
    since: timedelta,
    factor: bool,
    recent: bool,
) -> None:
    person("alice")
    who = sitting()
    proven = who.proven_at if factor else who.entered_at
    assert proven is not None
    instant = proven + since
    monkeypatch.setattr(clock, "now", lambda: instant)
    if recent:
        check_recent(who, factor=factor)
        return
    with pytest.raises(ReauthNeeded):
        check_recent(who, factor=factor)


def test_without_a_session_nothing_is_recent(person: Callable[..., Visitor]) -> None:
    person("alice")
    who = msgspec.structs.replace(sitting(), session_id=None, entered_at=None, proven_at=None)
    for factor in (False, True):
        with pytest.raises(ReauthNeeded):
            check_recent(who, factor=factor)
    with pytest.raises(SignInNeeded), transaction():
        reauth.prove_again(who, factor=False, password=PASSWORD)


def test_an_account_without_a_password_is_not_opened_by_any(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    with transaction():
        db.session.scalars(select(Account)).one().password_hash = None
    clock.shift(LATER)
    page = alice.get("/account/reauth")
    assert page.status == 200
    assert "without a password" in page.text
    who = sitting()
    asked = reauth.what_to_ask(who, factor=False)
    assert asked is not None
    assert (asked.typed, asked.outside) == (False, True)
    with pytest.raises(Invalid), transaction():
        reauth.prove_again(who, factor=False, password="")


def test_too_many_from_one_address_are_turned_away(person: Callable[..., Visitor]) -> None:
    person("alice")
    clock.shift(LATER)
    who = sitting()
    with transaction():
        for _ in range(throttle.MOST["address"]):
            throttle.count_failure(throttle.counter_of("address", who.address))
    with pytest.raises(LimitReached), transaction():
        reauth.prove_again(who, factor=False, password=PASSWORD)
