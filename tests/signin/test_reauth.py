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
from portal.core.ids import new_id
from portal.signin import passwords, reauth, throttle
from portal.signin.models import Passkey, SignInSession
from portal.signin.sessions import actor_of
from portal.web.frame import Doorward
from tests.people import PASSWORD
from tests.races import race
from tests.signin.phones import Phone, make_enrolled
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
    clock.shift(timedelta(minutes=4))
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
    browsers = [Visitor(app.test_client()) for _ in range(2)]
    for browser in browsers:
        browser.sign_in("alice")
    clock.shift(LATER)
    for _ in range(5):
        browsers[0].send(browsers[0].get("/account/reauth"), {"password": "wrong"})
    page = browsers[1].send(browsers[1].get("/account/reauth"), {"password": PASSWORD})
    assert page.status == 429
    assert int(page.response.headers["Retry-After"]) <= 900
    assert Visitor(app.test_client()).sign_in("alice").path == "/account"  # the way in stays open


def test_of_twenty_guesses_at_once_no_more_than_five_are_looked_at(
    app: Doorward, person: Callable[..., Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    person("alice")
    clock.shift(LATER)
    who, looked = sitting(), []
    check = passwords.check_password

    def counting(password: str, stored: str | None) -> bool:
        looked.append(password)
        return check(password, stored)

    monkeypatch.setattr(passwords, "check_password", counting)
    db.session.rollback()

    def guess(number: int) -> type[Exception] | None:
        with app.app_context():
            try:
                with transaction():
                    reauth.prove_again(who, factor=False, password=f"guess {number}")
            except Invalid as wrong:
                with transaction():
                    for write in wrong.trace:
                        write()
                return Invalid
            except LimitReached:
                return LimitReached
            return None

    answers = race(20, guess)
    assert len(looked) <= 5
    assert answers.count(Invalid) <= 5
    assert answers.count(None) == 0
    assert row().ended_at is not None


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


def enrolled(app: Doorward, name: str = "alice") -> tuple[Visitor, Phone, list[str]]:
    """A person signed in with an app; its present code is used up."""
    phone, codes = make_enrolled(name)
    visitor = Visitor(app.test_client())
    visitor.send(visitor.sign_in(name), {"code": phone.code(1)})
    assert is_in(visitor)
    return visitor, phone, codes


def test_the_password_alone_is_enough_where_no_factor_is_wanted(app: Doorward) -> None:
    alice, _, _ = enrolled(app)
    proven = row().proven_at
    clock.shift(timedelta(minutes=11))
    page = alice.get("/account/reauth?next=/account/keys")
    assert "app" not in page.text
    assert alice.send(page, {"password": PASSWORD}).path == "/account/keys"
    assert row().entered_at > clock.now() - timedelta(seconds=10)
    assert row().proven_at == proven
    again = alice.get("/account/reauth?next=/account/keys&factor=1")
    assert again.path == "/account/reauth"
    assert "code" in again.text
    assert 'name="password"' not in again.html  # it was given a moment ago


def test_password_and_code_together_where_a_factor_is_wanted(app: Doorward) -> None:
    alice, phone, _ = enrolled(app)
    clock.shift(timedelta(minutes=11))
    page = alice.get("/account/reauth?next=/account/keys&factor=1")
    assert alice.send(page, {"password": PASSWORD}).status == 422
    assert alice.send(page, {"password": PASSWORD, "code": phone.wrong_code()}).status == 422
    assert alice.send(page, {"password": "wrong", "code": phone.code()}).status == 422
    assert alice.send(page, {"password": PASSWORD, "code": phone.code()}).path == "/account/keys"
    proven = row().proven_at
    assert proven is not None
    assert proven > clock.now() - timedelta(seconds=10)
    assert alice.get("/account/reauth?next=/account/keys&factor=1").path == "/account/keys"
    assert [what for what, _ in events()] == ["sign_in.not_confirmed"] * 2 + ["sign_in.confirmed"]


def test_the_password_alone_gives_no_further_guesses_at_the_code(app: Doorward) -> None:
    """Whoever sits at a stolen session and knows the password has five guesses, not five after each proof."""
    alice, phone, _ = enrolled(app)
    clock.shift(timedelta(minutes=11))
    for left in (4, 3, 2, 1):
        page = alice.send(alice.get("/account/reauth?factor=1"), {"password": PASSWORD, "code": phone.wrong_code()})
        assert page.status == 422, left
    assert alice.send(alice.get("/account/reauth?next=/account/keys"), {"password": PASSWORD}).path == "/account/keys"
    page = alice.send(alice.get("/account/reauth?factor=1"), {"code": phone.wrong_code()})
    assert page.path == "/sign-in"
    assert not is_in(alice)


def test_a_code_is_good_once_and_a_recovery_code_stands_in(app: Doorward) -> None:
    alice, phone, codes = enrolled(app)
    clock.shift(timedelta(minutes=11))
    first = {"password": PASSWORD, "code": phone.code()}
    assert alice.send(alice.get("/account/reauth?factor=1"), first).path == "/account"
    other = Visitor(app.test_client())
    assert other.send(other.sign_in("alice"), {"code": phone.code(1)}).path == "/account"
    clock.shift(clock.offset() + timedelta(minutes=11))
    used = {"password": PASSWORD, "code": phone.code()}
    assert alice.send(alice.get("/account/reauth?factor=1"), used).path == "/account"
    assert other.send(other.get("/account/reauth?factor=1"), used).status == 422
    assert other.send(other.get("/account/reauth?factor=1"), {**used, "code": codes[0]}).path == "/account"
    assert is_in(alice)


def test_twenty_with_one_code_at_once_are_one(app: Doorward) -> None:
    _, phone, _ = enrolled(app)
    clock.shift(timedelta(minutes=11))
    who, code = sitting(), phone.code()
    db.session.rollback()

    def answer(_: int) -> bool:
        with app.app_context():
            try:
                with transaction():
                    reauth.prove_again(who, factor=True, password=PASSWORD, code=code)
            except (Invalid, LimitReached, SignInNeeded):
                return False
            return True

    assert sum(race(20, answer)) == 1


def test_a_passkey_alone_asks_for_no_password_where_a_factor_is_wanted(person: Callable[..., Visitor]) -> None:
    person("alice")
    with transaction():
        account = db.session.scalars(select(Account)).one()
        db.session.add(a_passkey(account))
        account.has_factor = True
    clock.shift(timedelta(minutes=11))
    asked = reauth.what_to_ask(sitting(), factor=True)
    assert asked == reauth.Asked(password=False, code=False, passkey=True, outside=False, proven=True)
    with pytest.raises(Invalid), transaction():
        reauth.prove_again(sitting(), factor=True, password=PASSWORD)
    asked = reauth.what_to_ask(sitting(), factor=False)
    assert asked == reauth.Asked(password=True, code=False, passkey=True, outside=False, proven=False)


def test_a_passkey_that_was_shown_counts_as_the_factor(person: Callable[..., Visitor]) -> None:
    person("alice")
    with transaction():
        account = db.session.scalars(select(Account)).one()
        db.session.add(a_passkey(account))
        account.has_factor = True
    clock.shift(timedelta(minutes=11))
    with transaction():
        reauth.note_proof(sitting(), method="passkey", factor=True)
    assert reauth.what_to_ask(sitting(), factor=True) is None


def test_whoever_signs_in_elsewhere_goes_there_first_and_types_the_code_afterwards(app: Doorward) -> None:
    _, phone, _ = enrolled(app)
    with transaction():
        db.session.scalars(select(Account)).one().password_hash = None
    clock.shift(timedelta(minutes=11))
    asked = reauth.what_to_ask(sitting(), factor=True)
    assert asked == reauth.Asked(password=False, code=False, passkey=False, outside=True, proven=True)
    with transaction():
        reauth.note_proof(sitting(), method="provider", factor=False)
    asked = reauth.what_to_ask(sitting(), factor=True)
    assert asked == reauth.Asked(password=False, code=True, passkey=False, outside=False, proven=True)
    with transaction():
        reauth.prove_again(sitting(), factor=True, password="", code=phone.code())
    assert reauth.what_to_ask(sitting(), factor=True) is None


def a_passkey(account: Account) -> Passkey:
    """A passkey as a row; nobody holds it."""
    return Passkey(
        id=new_id(),
        account_id=account.id,
        credential_id=b"credential",
        public_key=b"key",
        sign_count=0,
        name="phone",
        transports=[],
        created_at=clock.now(),
    )
