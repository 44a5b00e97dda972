"""Linked sign-ins: linked by an owner who proved lately who they are, unlinked but for the last way in."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import ReauthNeeded
from portal.mail.models import OutboxMail
from portal.outside.identities import unlink
from portal.outside.models import ExternalIdentity
from portal.signin import throttle
from portal.signin.models import SignInSession, SignInStep
from tests.outside.conftest import Traveller, asked_of
from tests.people import actor_named, make_account

if TYPE_CHECKING:
    from portal.web.frame import Doorward
    from tests.outside.liar import Liar
    from tests.visitor import SeenPage


@pytest.fixture
def alice(app: Doorward) -> Traveller:
    """Alice, signed in."""
    make_account("alice")
    traveller = Traveller.of(app)
    assert traveller.sign_in("alice").path == "/account"
    return traveller


def set_off(person: Traveller, slug: str = "acme") -> dict[str, str]:
    """Press the button that links."""
    return asked_of(person.send(person.get("/account/providers"), to=f"/account/providers/link/{slug}"))


def link(person: Traveller, liar: Liar, slug: str = "acme") -> SeenPage:
    """The whole way to a linked sign-in."""
    query = set_off(person, slug)
    page = person.come_back(slug, code=liar.code_for(query), state=query["state"])
    assert page.title.startswith("Link "), page.text
    return person.send(page)


def identities() -> list[ExternalIdentity]:
    """All of them."""
    db.session.expire_all()
    return list(db.session.scalars(select(ExternalIdentity).order_by(ExternalIdentity.created_at)))


def events() -> list[str]:
    """What the audit log tells of links."""
    query = select(AuditEntry.event).where(AuditEntry.event.startswith("identity."))
    return list(db.session.scalars(query.order_by(AuditEntry.id)))


def test_linked_by_its_owner_whatever_the_address(app: Doorward, alice: Traveller, liar: Liar) -> None:
    elsewhere = Traveller.of(app)
    elsewhere.sign_in("alice")
    before = alice.client.get_cookie("doorward")
    page = link(alice, liar)
    assert "Linked. From now on" in page.text
    assert [one.email for one in identities()] == ["carol@example.org"]
    assert before != alice.client.get_cookie("doorward")
    assert elsewhere.get("/account").path == "/sign-in", "sessions elsewhere have ended"
    assert db.session.scalars(select(OutboxMail.template).order_by(OutboxMail.created_at)).all()[-1] == "notice"
    assert events() == ["identity.linked"]
    fresh = Traveller.of(app)
    assert "Alice" in fresh.travel(liar).text
    account = db.session.scalars(select(Account)).one()
    assert account.username == "alice"


def test_the_owner_must_have_proved_lately_who_they_are(alice: Traveller, liar: Liar) -> None:
    page = alice.get("/account/providers")
    clock.shift(clock.offset() + timedelta(seconds=301))
    asked = alice.send(page, to="/account/providers/link/acme", follow=False)
    assert "/account/reauth" in asked.response.headers["Location"]
    clock.shift(clock.offset() - timedelta(seconds=3))
    query = asked_of(alice.send(page, to="/account/providers/link/acme"))
    clock.shift(clock.offset() + timedelta(seconds=10))
    late = alice.come_back(code=liar.code_for(query), state=query["state"])
    assert late.path == "/account/reauth"
    assert identities() == []
    # Who then shows it goes on where they were.
    page = alice.send(late, {"password": "seven quiet lanterns 42"})
    assert page.title == "Link Acme"
    assert "Linked." in alice.send(page).text


def test_nothing_is_linked_without_the_question(alice: Traveller, liar: Liar) -> None:
    query = set_off(alice)
    page = alice.come_back(code=liar.code_for(query), state=query["state"])
    assert page.path == "/account/providers/confirm"
    assert identities() == []
    assert alice.post("/account/providers/confirm").status == 400, "no token"
    assert "Linked." in alice.send(page).text
    assert "done already" in alice.get("/account/providers/confirm").text
    assert len(identities()) == 1


def test_what_waits_for_one_is_not_linked_by_another(app: Doorward, alice: Traveller, liar: Liar) -> None:
    make_account("bob")
    query = set_off(alice)
    alice.come_back(code=liar.code_for(query), state=query["state"])
    bob = Traveller.of(app)
    bob.sign_in("bob")
    assert bob.get("/account/providers/confirm").path == "/account/providers"
    # The same browser, but somebody else signs in before the answer comes.
    query = set_off(alice)
    alice.sign_out()
    alice.sign_in("bob")
    page = alice.come_back(code=liar.code_for(query), state=query["state"])
    assert page.path != "/account/providers/confirm"
    assert identities() == []


def test_a_trip_to_link_signs_nobody_in(app: Doorward, alice: Traveller, liar: Liar) -> None:
    query = set_off(alice)
    cookie = alice.client.get_cookie("doorward")
    assert cookie is not None
    alice.sign_out()
    copied = Traveller.of(app)
    copied.client.set_cookie("doorward", cookie.value)
    page = copied.come_back(code=liar.code_for(query), state=query["state"])
    assert "You were signed out meanwhile" in page.text
    assert identities() == []


def test_one_identity_opens_one_account(app: Doorward, alice: Traveller, liar: Liar) -> None:
    link(alice, liar)
    make_account("bob")
    bob = Traveller.of(app)
    bob.sign_in("bob")
    assert "linked with an account already" in link(bob, liar).text
    assert len(identities()) == 1


def test_unlinked_but_not_the_last_way_in(app: Doorward, liar: Liar, other: Liar) -> None:
    carol = Traveller.of(app)
    carol.travel(liar)
    (first,) = identities()
    unlink_first = f"/account/providers/{first.id}/unlink"
    page = carol.send(carol.get("/account/providers"), to=unlink_first)
    assert "the last way into your account" in page.text
    other.claims = {"sub": "carol-there"}
    assert "Linked." in link(carol, other, "other").text
    page = carol.send(carol.get("/account/providers"), to=unlink_first)
    assert "Unlinked." in page.text
    assert [one.provider for one in identities()] == ["other"]
    assert events() == ["identity.linked", "identity.linked", "identity.unlinked"]
    back = Traveller.of(app).travel(liar)
    assert back.path == "/sign-in", "what was unlinked opens nothing"
    assert "There is an account" in back.text


def test_with_a_password_every_link_may_go(alice: Traveller, liar: Liar) -> None:
    link(alice, liar)
    (linked,) = identities()
    page = alice.send(alice.get("/account/providers"), to=f"/account/providers/{linked.id}/unlink")
    assert "Unlinked." in page.text
    assert identities() == []
    assert db.session.scalars(select(OutboxMail.template)).all()[-1] == "notice"


def test_unlinking_asks_who_it_is(alice: Traveller, liar: Liar) -> None:
    link(alice, liar)
    (linked,) = identities()
    page = alice.get("/account/providers")
    clock.shift(clock.offset() + timedelta(seconds=301))
    asked = alice.send(page, to=f"/account/providers/{linked.id}/unlink", follow=False)
    assert "/account/reauth" in asked.response.headers["Location"]
    actor = actor_named("alice")
    clock.shift(clock.offset() + timedelta(seconds=301))
    with pytest.raises(ReauthNeeded):
        unlink(actor, linked.id)
    assert len(identities()) == 1


@pytest.fixture
def carol(app: Doorward, liar: Liar) -> Traveller:
    """Carol, who has no password, some while after she signed in."""
    person = Traveller.of(app)
    assert person.travel(liar).path == "/account"
    clock.shift(clock.offset() + timedelta(minutes=6))
    return person


def ask_again(person: Traveller) -> dict[str, str]:
    """From something dangerous to the provider."""
    page = person.get("/account/reauth?next=/account/providers")
    assert page.path == "/account/reauth", page.text
    return asked_of(person.send(page, to="/account/providers/prove/acme"))


def session() -> SignInSession:
    """The one session there is."""
    db.session.expire_all()
    return db.session.scalars(select(SignInSession)).one()


def test_who_has_no_password_shows_it_at_the_provider(carol: Traveller, liar: Liar) -> None:
    before = session().digest
    query = ask_again(carol)
    assert (query["prompt"], query["max_age"]) == ("login", "0")
    page = carol.come_back(code=liar.code_for(query), state=query["state"])
    assert page.path == "/account/providers", "back to where it was asked"
    now = session()
    assert clock.now() - now.entered_at < timedelta(minutes=1)
    assert now.digest != before
    (linked,) = identities()
    page = carol.send(page, to=f"/account/providers/{linked.id}/unlink")
    assert "the last way into your account" in page.text, "it is no longer asked who she is"


@pytest.mark.parametrize(
    "lie",
    [
        {"auth_time": None},
        {"auth_time": "now"},
        {"auth_time": 1},
        {"auth_time": -90},  # so many seconds before it was begun
        {"sub": "somebody-else"},
    ],
)
def test_not_by_a_session_of_before_nor_by_another(carol: Traveller, liar: Liar, lie: dict[str, Any]) -> None:
    query = ask_again(carol)
    if lie.get("auth_time") == -90:
        lie = {"auth_time": int(clock.now().timestamp()) - 90}
    liar.claims = lie
    carol.come_back(code=liar.code_for(query), state=query["state"])
    assert clock.now() - session().entered_at > timedelta(minutes=5)


def test_a_proof_counts_in_its_own_session_only(app: Doorward, carol: Traveller, liar: Liar) -> None:
    query = ask_again(carol)
    elsewhere = Traveller.of(app)
    elsewhere.travel(liar)
    mine, theirs = carol.client.get_cookie("doorward"), elsewhere.client.get_cookie("doorward")
    assert mine is not None
    assert theirs is not None
    page = elsewhere.come_back(code=liar.code_for(query), state=query["state"])
    assert "not begun in this browser" in page.text or "done already" in page.text


def use_up_trips() -> None:
    """Set off as often from here as one address may."""
    with transaction():
        for _ in range(throttle.MOST["challenge"]):
            throttle.count_failure(throttle.counter_of("challenge", "127.0.0.1"))


def trips() -> int:
    """How many have begun and not ended."""
    return db.session.scalar(select(func.count()).select_from(SignInStep)) or 0


def test_an_address_sets_off_to_link_so_often_and_no_more(alice: Traveller, liar: Liar) -> None:
    page, before = alice.get("/account/providers"), trips()
    use_up_trips()
    assert alice.send(page, to="/account/providers/link/acme").status == 429
    assert trips() == before


def test_an_address_sets_off_to_prove_so_often_and_no_more(carol: Traveller, liar: Liar) -> None:
    page, before = carol.get("/account/reauth?next=/account/providers"), trips()
    use_up_trips()
    assert carol.send(page, to="/account/providers/prove/acme").status == 429
    assert trips() == before


def test_who_has_a_password_confirms_with_that(alice: Traveller, liar: Liar) -> None:
    link(alice, liar)
    token = alice.get("/account/providers").form_to("/sign-out").find(".//input[@name='csrf_token']")
    assert token is not None
    page = alice.post("/account/providers/prove/acme", {"csrf_token": token.get("value")}, follow=True)
    assert "confirm with that" in page.text


def test_others_links_are_not_there(alice: Traveller, app: Doorward, liar: Liar) -> None:
    link(alice, liar)
    (linked,) = identities()
    make_account("bob")
    bob = Traveller.of(app)
    bob.sign_in("bob")
    token = bob.get("/account/providers").form_to("/sign-out").find(".//input[@name='csrf_token']")
    assert token is not None
    for wanted in (linked.id, UUID(int=1)):
        sent = {"csrf_token": token.get("value")}
        assert bob.post(f"/account/providers/{wanted}/unlink", sent).status == 404
    with transaction():
        assert len(identities()) == 1
