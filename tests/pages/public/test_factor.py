"""/sign-in/factor: nothing is open before it, and no order of steps, other browser or late hour goes round it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from portal.accounts.lifecycle import suspend
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.signin.models import FailureCount, SignInSession, SignInStep
from portal.signin.steps import LIFETIMES, Step
from portal.signin.throttle import count_failure, counter_of
from tests.people import actor_named, make_account
from tests.races import race
from tests.signin.phones import Phone, account_of, make_enrolled
from tests.visitor import SeenPage, Visitor

if TYPE_CHECKING:
    from portal.web.frame import Doorward

FACTOR = "/sign-in/factor"


@pytest.fixture
def phone(app: Doorward) -> Phone:
    """Alice's, showing a code that was not used."""
    made, _ = make_enrolled("alice")
    clock.shift(timedelta(minutes=2))
    return made


def signed_in(visitor: Visitor) -> bool:
    """Whether the browser has a session."""
    return visitor.get("/account", follow=False).status == 200


def sessions() -> int:
    """How many sessions were ever begun."""
    return db.session.scalar(select(func.count()).select_from(SignInSession)) or 0


def answer(visitor: Visitor, code: str) -> SeenPage:
    """Type a code on the page of the second factor."""
    return visitor.send(visitor.get(FACTOR), {"code": code})


def test_the_password_alone_opens_nothing_and_the_code_opens_all(visitor: Visitor, phone: Phone) -> None:
    page = visitor.sign_in("alice")
    assert page.path == FACTOR
    assert page.title == "Second factor"
    assert not signed_in(visitor)
    assert sessions() == 0
    assert visitor.send(page, {"code": phone.code()}).path == "/account"
    assert signed_in(visitor)
    session = db.session.scalars(select(SignInSession)).one()
    assert session.method == "authenticator app"
    assert session.proven_at is not None


def test_one_lands_where_one_wanted_to_go(visitor: Visitor, phone: Phone) -> None:
    door = visitor.get("/account/keys?show=ended")
    page = visitor.send(door, {"name": "alice", "password": "seven quiet lanterns 42"})
    assert page.path == FACTOR
    wrong = visitor.send(page, {"code": phone.wrong_code()})
    assert wrong.status == 422
    landed = visitor.send(wrong, {"code": phone.code()})
    assert (landed.path, landed.response.request.query_string) == ("/account/keys", b"show=ended")


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_one_is_never_led_away(wanted: str, visitor: Visitor, phone: Phone) -> None:
    visitor.sign_in("alice")
    page = visitor.get(FACTOR, query_string={"next": wanted})
    landed = visitor.send(page, {"code": phone.code()}, follow=False)
    assert landed.response.headers["Location"] == "/account"


def test_without_the_first_half_there_is_no_second(visitor: Visitor, phone: Phone) -> None:
    page = visitor.get(FACTOR)
    assert page.path == "/sign-in"
    assert "Begin again" in page.text
    token = page.form_to("/sign-in").find(".//input[@name='csrf_token']")
    assert token is not None
    sent = visitor.post(FACTOR, {"code": phone.code(), "csrf_token": token.get("value")}, follow=True)
    assert sent.path == "/sign-in"
    assert sessions() == 0


def test_another_browser_cannot_go_on(app: Doorward, visitor: Visitor, phone: Phone) -> None:
    visitor.sign_in("alice")
    other = Visitor(app.test_client())
    assert other.get(FACTOR).path == "/sign-in"
    assert not signed_in(other)


def test_the_first_half_dies_by_the_second(visitor: Visitor, phone: Phone) -> None:
    visitor.sign_in("alice")
    page = visitor.get(FACTOR)
    clock.shift(clock.offset() + LIFETIMES[Step.FACTOR])
    sent = visitor.send(page, {"code": phone.code()})
    assert sent.path == "/sign-in"
    assert sessions() == 0


def test_back_and_the_same_again_opens_nothing_new(visitor: Visitor, phone: Phone) -> None:
    visitor.sign_in("alice")
    page, code = visitor.get(FACTOR), phone.code()
    assert visitor.send(page, {"code": code}).path == "/account"
    visitor.sign_out()
    again = visitor.send(page, {"code": code})
    assert again.path != "/account"
    assert visitor.sign_in("alice").path == FACTOR
    assert answer(visitor, code).status == 422, "the code was used"
    assert sessions() == 1


def test_starting_again_drops_the_first_half(visitor: Visitor, phone: Phone) -> None:
    page = visitor.sign_in("alice")
    assert visitor.send(page, to=f"{FACTOR}/cancel").path == "/sign-in"
    assert visitor.get(FACTOR).path == "/sign-in"
    assert db.session.scalars(select(SignInStep).where(SignInStep.step == "factor")).all() == []


def test_five_wrong_codes_end_the_first_half(visitor: Visitor, phone: Phone) -> None:
    page = visitor.sign_in("alice")
    for _ in range(4):
        page = visitor.send(page, {"code": phone.wrong_code()})
        assert (page.status, page.path) == (422, FACTOR)
    page = visitor.send(page, {"code": phone.wrong_code()})
    assert page.path == "/sign-in"
    assert visitor.get(FACTOR).path == "/sign-in"
    assert sessions() == 0
    why = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "sign_in.failed")).all()
    assert Counter(entry.facts["why"] for entry in why) == {"factor": 5}


def test_a_fresh_first_half_gives_no_further_guesses(app: Doorward, phone: Phone) -> None:
    """The second factor's own counter goes on however often the password is given again."""
    for tries in range(5, 8):
        visitor = Visitor(app.test_client())
        page = visitor.sign_in("alice")
        for _ in range(5 if tries == 5 else 1):
            page = visitor.send(page, {"code": phone.wrong_code()})
        counts = db.session.scalars(select(FailureCount.failures).where(FailureCount.name.startswith("factor:"))).all()
        assert counts == [tries]
        clock.shift(clock.offset() + timedelta(minutes=2))
    counter = counter_of("factor", str(account_of("alice").id))
    with transaction():
        for _ in range(20):
            count_failure(counter)
    again = Visitor(app.test_client())
    again.sign_in("alice")
    refused = answer(again, phone.code())
    assert refused.status == 429
    assert int(refused.response.headers["Retry-After"]) > 0
    assert sessions() == 0


def test_of_many_wrong_codes_at_once_no_more_than_five_are_looked_at(app: Doorward, phone: Phone) -> None:
    visitor = Visitor(app.test_client())
    page = visitor.sign_in("alice")
    cookies = visitor.client.get_cookie("doorward")
    assert cookies is not None
    browsers = [Visitor(app.test_client()) for _ in range(20)]
    for one in browsers:
        one.client.set_cookie("doorward", cookies.value)
    wrong = phone.wrong_code()
    race(20, lambda number: browsers[number].send(page, {"code": wrong}, follow=False).status)
    looked_at = db.session.scalars(select(AuditEntry.facts).where(AuditEntry.event == "sign_in.failed")).all()
    assert [facts["why"] for facts in looked_at] == ["factor"] * 5
    assert db.session.scalars(select(SignInStep)).all() == [], "the fifth ended the first half"
    clock.shift(clock.offset() + timedelta(minutes=5))
    assert visitor.send(page, {"code": phone.code()}).path == "/sign-in"
    assert sessions() == 0


def test_a_change_of_the_account_ends_the_first_half(visitor: Visitor, phone: Phone) -> None:
    make_account("ada")
    page = visitor.sign_in("alice")
    with transaction():
        suspend(actor_named("ada").because("a test"), account_of("alice").id)
    assert visitor.send(page, {"code": phone.code()}).path == "/sign-in"
    assert sessions() == 0


def test_of_twenty_at_once_one_gets_in(app: Doorward, phone: Phone) -> None:
    browsers = [Visitor(app.test_client()) for _ in range(20)]
    pages = [one.sign_in("alice") for one in browsers]
    code = phone.code()
    landed = race(20, lambda number: browsers[number].send(pages[number], {"code": code}, follow=False).status)
    assert Counter(status for status in landed if status == 302) == {302: 1}, landed
    assert sessions() == 1
