"""A passkey as the second factor, after the password, through the pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account, State
from portal.core import clock
from portal.core.database import db, transaction
from portal.signin.models import SignInSession, SignInStep
from portal.web.frame import Doorward
from tests.passkeys import add_key, give_passkey, options_of
from tests.signin.phones import make_enrolled
from tests.software_key import SoftwareKey
from tests.visitor import SeenPage, Visitor

PLACE = "/sign-in/passkey/factor"


def show(visitor: Visitor, page: SeenPage, key: SoftwareKey) -> SeenPage:
    """Use the passkey on the page that asks for the second factor."""
    answer = key.sign(options_of(visitor, page, PLACE))
    return visitor.send(page, {"credential": answer}, to=PLACE)


def sessions() -> int:
    """How many sessions there are."""
    return db.session.scalar(select(func.count()).select_from(SignInSession)) or 0


def test_it_is_asked_for_after_the_password_and_lets_in(visitor: Visitor) -> None:
    _, key = give_passkey("alice")
    page = visitor.get("/account/keys")
    page = visitor.send(page, {"name": "alice", "password": "seven quiet lanterns 42"}, to="/sign-in")
    assert page.path == "/sign-in/factor"
    assert visitor.get("/account", follow=False).status == 302
    assert sessions() == 0
    assert show(visitor, page, key).path == "/account/keys"
    assert db.session.scalars(select(SignInSession.method)).one() == "passkey"


def test_the_page_offers_what_the_account_has(app: Doorward) -> None:
    give_passkey("alice")
    phone, _ = make_enrolled("bob")
    add_key(db.session.scalars(select(Account).where(Account.username == "bob")).one(), SoftwareKey())
    alice, bob = (Visitor(app.test_client()).sign_in(name) for name in ("alice", "bob"))
    assert "Use a passkey" in alice.text
    assert 'name="code"' not in alice.html
    assert "Use a passkey" in bob.text
    assert 'name="code"' in bob.html
    make_enrolled("carol")
    assert "passkey" not in Visitor(app.test_client()).sign_in("carol").html
    del phone


def test_only_the_owners_passkeys_are_asked_for_and_taken(visitor: Visitor) -> None:
    alice, key = give_passkey("alice")
    _, others = give_passkey("bob")
    page = visitor.sign_in("alice")
    assert len(options_of(visitor, page, PLACE)["allowCredentials"]) == 1
    others.handle = alice.id.bytes
    again = show(visitor, page, others)
    assert again.path == "/sign-in/factor"
    assert "That is not right" in again.text
    assert sessions() == 0
    assert show(visitor, again, key).path == "/account"


def test_five_wrong_ones_end_the_first_half(visitor: Visitor) -> None:
    give_passkey("alice")
    page = visitor.sign_in("alice")
    for left in (4, 3, 2, 1):
        page = show(visitor, page, SoftwareKey(handle=b"x" * 16))
        assert page.path == "/sign-in/factor", left
    assert show(visitor, page, SoftwareKey(handle=b"x" * 16)).path == "/sign-in"
    assert db.session.scalar(select(func.count()).select_from(SignInStep).where(SignInStep.step == "factor")) == 0


def test_one_answer_enters_once(app: Doorward) -> None:
    _, key = give_passkey("alice")
    visitor = Visitor(app.test_client())
    page = visitor.sign_in("alice")
    answer = key.sign(options_of(visitor, page, PLACE))
    cookie = visitor.client.get_cookie("doorward")
    assert cookie is not None
    assert visitor.send(page, {"credential": answer}, to=PLACE).path == "/account"
    thief = Visitor(app.test_client())
    thief.client.set_cookie("doorward", cookie.value)
    assert thief.send(page, {"credential": answer}, to=PLACE).path == "/sign-in"
    assert sessions() == 1


def test_a_wrong_answer_ends_its_challenge(visitor: Visitor) -> None:
    _, key = give_passkey("alice")
    page = visitor.sign_in("alice")
    asked = options_of(visitor, page, PLACE)
    for answer in (SoftwareKey(handle=b"x" * 16).sign(asked), key.sign(asked)):
        page = visitor.send(page, {"credential": answer}, to=PLACE)
        assert page.path == "/sign-in/factor"
    assert sessions() == 0
    assert show(visitor, page, key).path == "/account"


def test_a_challenge_to_sign_in_alone_is_no_second_factor(visitor: Visitor) -> None:
    _, key = give_passkey("alice")
    door = visitor.get("/sign-in")
    answer = key.sign(options_of(visitor, door, "/sign-in/passkey"))
    page = visitor.sign_in("alice")
    again = visitor.send(page, {"credential": answer}, to=PLACE)
    assert again.path == "/sign-in/factor"
    assert sessions() == 0


def test_a_second_factor_in_a_browser_without_the_first_half_is_nothing(app: Doorward) -> None:
    _, key = give_passkey("alice")
    owner, other = Visitor(app.test_client()), Visitor(app.test_client())
    page = owner.sign_in("alice")
    answer = key.sign(options_of(owner, page, PLACE))
    token = other.get("/sign-in").form_to("/sign-in/passkey")[0].get("value") or ""
    assert other.post(f"{PLACE}/options", {"csrf_token": token}).status == 409
    seen = other.post(PLACE, {"csrf_token": token, "credential": answer}, follow=True)
    assert seen.path == "/sign-in"
    assert sessions() == 0


@pytest.mark.parametrize("what", ["suspended", "locked", "late"])
def test_what_happened_in_between_counts(what: str, visitor: Visitor) -> None:
    alice, key = give_passkey("alice")
    page = visitor.sign_in("alice")
    answer = key.sign(options_of(visitor, page, PLACE))
    with transaction():
        row = db.session.get_one(Account, alice.id)
        if what == "suspended":
            row.state = State.SUSPENDED.value
        if what == "locked":
            row.locked_at = clock.now()
    if what == "late":
        clock.shift(timedelta(minutes=10, seconds=1))
    visitor.send(page, {"credential": answer}, to=PLACE)
    assert sessions() == 0
    assert visitor.get("/account", follow=False).status == 302


def test_without_scripts_the_page_says_so_and_counts_nothing(visitor: Visitor) -> None:
    give_passkey("alice")
    page = visitor.sign_in("alice")
    for _ in range(6):
        page = visitor.send(page, to=PLACE)
        assert page.path == "/sign-in/factor"
        assert "Passkeys need scripts" in page.text
    assert sessions() == 0


def test_setting_up_is_not_asked_of_who_has_one(app: Doorward, person: Callable[..., Visitor]) -> None:
    bob = person("bob")
    account = db.session.scalars(select(Account).where(Account.username == "bob")).one()
    add_key(account, SoftwareKey())
    assert db.session.get_one(Account, account.id).has_factor
    assert bob.get("/account").path == "/account"
    assert Visitor(app.test_client()).sign_in("bob").path == "/sign-in/factor"
