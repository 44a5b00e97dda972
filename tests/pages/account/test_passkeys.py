"""One's own passkeys, through the pages: added with a device, renamed, removed; and what each of it ends."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock, crypto
from portal.core.database import db, transaction
from portal.core.errors import PortalError
from portal.mail.models import OutboxMail
from portal.signin import throttle
from portal.signin.models import Passkey, SignInSession
from portal.signin.own_passkeys import MOST, add_passkey, begin_adding, remove_passkey
from portal.signin.sessions import session_of
from portal.web.frame import Doorward
from tests.passkeys import add_key, enter, options_of
from tests.people import actor_named, make_account
from tests.races import race
from tests.software_key import SoftwareKey
from tests.visitor import SeenPage, Visitor

LIST = "/account/security/passkeys"
NEW = f"{LIST}/new"


def add(visitor: Visitor, key: SoftwareKey, name: str = "Phone", place: str = NEW) -> SeenPage:
    """Add a passkey on the page."""
    page = visitor.get(place)
    answer = key.make(options_of(visitor, page, NEW))
    return visitor.send(page, {"credential": answer, "name": name}, to=NEW)


def kept() -> list[Passkey]:
    """All passkeys there are."""
    return list(db.session.scalars(select(Passkey).order_by(Passkey.created_at)))


def own(name: str = "alice") -> Account:
    """The person's record as it is now."""
    db.session.expire_all()
    return db.session.scalars(select(Account).where(Account.username == name)).one()


def recorded() -> list[tuple[str, dict[str, Any]]]:
    """What happened with factors."""
    rows = db.session.scalars(select(AuditEntry).where(AuditEntry.event.like("factor.%")).order_by(AuditEntry.at))
    return [(row.event, row.facts) for row in rows]


def told() -> list[str]:
    """The notices that were mailed to Alice."""
    rows = db.session.scalars(select(OutboxMail).order_by(OutboxMail.created_at, OutboxMail.id))
    opened = [crypto.unseal(row.sealed or "", place=f"outbox:{row.id}") for row in rows if row.template == "notice"]
    return [mail["values"]["what"] for mail in opened if mail["to"] == "alice@example.org"]


def test_the_first_one_brings_recovery_codes_and_signs_in(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice, key = person("alice"), SoftwareKey()
    made = add(alice, key)
    assert (made.status, made.title) == (201, "Your recovery codes")
    assert len(made.code("recovery-codes").split()) == 10
    assert own().has_factor
    assert enter(Visitor(app.test_client()), key).path == "/account"
    assert [event for event, _ in recorded()] == ["factor.recovery_codes_made", "factor.passkey_added"]
    assert recorded()[1][1] == {"name": "Phone"}
    assert told() == ["The passkey “Phone” was added: it opens your account."]
    second = add(alice, SoftwareKey(), "Key")
    assert (second.status, second.path) == (200, LIST)
    assert "Phone" in second.text
    assert "Key" in second.text
    assert Visitor(app.test_client()).sign_in("alice").path == "/sign-in/factor"


def test_the_session_goes_on_under_another_secret_and_others_end(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    other = Visitor(app.test_client())
    other.sign_in("alice")
    stale = alice.client.get_cookie("doorward")
    assert stale is not None
    add(alice, SoftwareKey())
    assert alice.get("/account", follow=False).status == 200
    assert other.get("/account", follow=False).status == 302
    before = app.test_client()
    before.set_cookie("doorward", stale.value)
    assert before.get("/account").status_code == 302


@pytest.mark.parametrize("typed", ["", "  "])
def test_without_a_name_it_is_called_passkey(typed: str, person: Callable[..., Visitor]) -> None:
    add(person("alice"), SoftwareKey(), typed)
    assert [one.name for one in kept()] == ["Passkey"]


@pytest.mark.parametrize("typed", ["x" * 81, "a\u202eb", "a\nb"])
def test_a_name_that_cannot_be_shown_is_refused(typed: str, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = add(alice, SoftwareKey(), typed)
    assert page.status == 422
    assert kept() == []
    assert not own().has_factor


def test_markup_in_a_name_is_text(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    add(alice, SoftwareKey(), "<b>&amp;")
    assert "<b>&amp;" in alice.get(LIST).text
    assert alice.get(f"{LIST}/{kept()[0].id}").title == "<b>&amp;"


def test_adding_wants_a_proof_of_five_minutes_at_most(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.get(NEW)
    answer = SoftwareKey().make(options_of(alice, page, NEW))
    clock.shift(timedelta(minutes=5, seconds=1))
    token = page.form_to(NEW)[0].get("value") or ""
    assert alice.post(f"{NEW}/options", {"csrf_token": token}).status == 409
    assert alice.send(page, {"credential": answer}, to=NEW).path == "/account/reauth"
    assert alice.get(NEW).path == "/account/reauth"
    assert kept() == []
    mine = add_key(own(), SoftwareKey())
    for place in (f"{LIST}/{mine.id}", f"{LIST}/{mine.id}/remove"):
        assert alice.get(place).path == "/account/reauth"
        assert "/account/reauth" in alice.post(place, {"csrf_token": token}).response.headers["Location"]


def test_adding_and_removing_want_the_second_factor_itself(app: Doorward) -> None:
    alice, key = make_account("alice"), SoftwareKey()
    add_key(alice, key)
    visitor = Visitor(app.test_client())
    enter(visitor, key)
    clock.shift(timedelta(minutes=10, seconds=1))
    with transaction():  # the password alone was given a moment ago
        db.session.execute(update(SignInSession).values(entered_at=clock.now()))
    place = f"{LIST}/{kept()[0].id}/remove"
    assert visitor.get(NEW).path == "/account/reauth"
    page = visitor.get(place)
    assert page.path == "/account/reauth"
    assert 'name="password"' not in page.html
    answer = key.sign(options_of(visitor, page, f"{LIST}/prove"))
    assert visitor.send(page, {"credential": answer}, to=f"{LIST}/prove").path == place


def test_the_challenge_of_another_browser_adds_nothing(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    other = Visitor(app.test_client())
    other.sign_in("alice")
    answer = SoftwareKey().make(options_of(other, other.get(NEW), NEW))
    page = alice.get(NEW)
    assert alice.send(page, {"credential": answer}, to=NEW).status == 422
    options_of(alice, page, NEW)
    assert alice.send(page, {"credential": answer}, to=NEW).status == 422
    assert kept() == []


def test_an_address_gets_so_many_challenges_and_no_more(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.get(NEW)
    with transaction():
        for _ in range(throttle.MOST["challenge"] - 1):
            throttle.count_failure(throttle.counter_of("challenge", "127.0.0.1"))
    options_of(alice, page, NEW)
    token = page.form_to(NEW)[0].get("value") or ""
    assert alice.post(f"{NEW}/options", {"csrf_token": token}).status == 429


def test_the_same_passkey_is_not_added_twice(person: Callable[..., Visitor]) -> None:
    alice, key = person("alice"), SoftwareKey()
    add(alice, key)
    page = alice.get(NEW)
    asked = options_of(alice, page, NEW)
    assert [one["type"] for one in asked["excludeCredentials"]] == ["public-key"]
    again = alice.send(page, {"credential": key.make(asked)}, to=NEW)
    assert again.status == 422
    assert "has been added already" in again.text
    bob = person("bob")
    theirs = add(bob, key)
    assert "has been added already" in theirs.text
    assert len(kept()) == 1


def test_one_answer_at_twenty_at_once_adds_one(app: Doorward) -> None:
    make_account("alice")
    with transaction():
        challenge = begin_adding(actor_named("alice"))
    answer = SoftwareKey().make(challenge.options)

    def make(_: int) -> str:
        with app.app_context():
            try:
                with transaction():
                    add_passkey(actor_named("alice"), challenge.secret, answer, name="x")
            except Exception as error:
                return type(error).__name__
        return ""

    said = Counter(race(20, make))
    assert said[""] == 1
    assert set(said) <= {"", "Invalid", "Conflict", "StaleDataError", "IntegrityError"}
    assert len(kept()) == 1


def test_there_are_twenty_at_most(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    for _ in range(MOST - 1):
        add_key(own(), SoftwareKey())
    page = alice.get(NEW)
    answer = SoftwareKey().make(options_of(alice, page, NEW))
    add_key(own(), SoftwareKey())
    full = alice.send(page, {"credential": answer}, to=NEW)
    assert full.status == 422
    assert "You have 20 passkeys" in full.text
    token = page.form_to(NEW)[0].get("value") or ""
    assert alice.post(f"{NEW}/options", {"csrf_token": token}).status == 409
    assert NEW not in alice.get(LIST).links()


def test_another_name_is_recorded_and_told(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    add(alice, SoftwareKey())
    place = f"{LIST}/{kept()[0].id}"
    page = alice.send(alice.get(place), {"name": " Old phone "}, to=place)
    assert page.path == LIST
    assert [one.name for one in kept()] == ["Old phone"]
    assert recorded()[-1] == ("factor.passkey_changed", {"from": "Phone", "to": "Old phone"})
    assert told()[-1] == "The passkey “Phone” is now called “Old phone”."
    assert alice.send(alice.get(place), {"name": " "}, to=place).status == 422
    count = len(recorded())
    assert alice.send(alice.get(place), to=place).path == LIST
    assert len(recorded()) == count


def test_removing_one_ends_what_it_opened(app: Doorward, person: Callable[..., Visitor]) -> None:
    alice, key = person("alice"), SoftwareKey()
    add(alice, key)
    other = Visitor(app.test_client())
    assert enter(other, key).path == "/account"
    place = f"{LIST}/{kept()[0].id}/remove"
    page = alice.get(place)
    assert "It is your only second factor" in page.text
    assert alice.send(page, to=place).path == LIST
    assert kept() == []
    assert not own().has_factor
    assert recorded()[-1] == ("factor.passkey_removed", {"name": "Phone"})
    assert told()[-1] == "The passkey “Phone” was removed: it opens your account no more."
    assert other.get("/account", follow=False).status == 302
    assert enter(Visitor(app.test_client()), key).status == 422
    assert Visitor(app.test_client()).sign_in("alice").path == "/account"
    assert alice.get(place, follow=False).status == 404


@pytest.mark.parametrize("setting", [{"require_factor": ["user"]}])
def test_the_last_one_stays_where_one_is_demanded(visitor: Visitor) -> None:
    alice, key = make_account("alice"), SoftwareKey()
    add_key(alice, key)
    assert enter(visitor, key).path == "/account"
    place = f"{LIST}/{kept()[0].id}/remove"
    page = visitor.get(place)
    assert "must have a second factor" in page.text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)', page.html)
    assert token is not None
    assert visitor.post(place, {"csrf_token": token[1]}).status == 422
    assert len(kept()) == 1
    add_key(own(), SoftwareKey())
    assert visitor.send(visitor.get(place), to=place).path == LIST
    assert len(kept()) == 1


def test_of_two_removed_at_once_where_one_is_demanded_one_stays(app: Doorward, settings: object) -> None:
    alice = make_account("alice", password_hash=None)
    keys = [add_key(alice, SoftwareKey()).id for _ in range(2)]

    def drop(number: int) -> str:
        with app.app_context():
            try:
                with transaction():
                    remove_passkey(actor_named("alice"), keys[number])
            except Exception as error:
                return type(error).__name__
        return ""

    said = Counter(race(2, drop))
    assert said[""] == 1
    assert len(kept()) == 1


def test_the_only_way_into_an_account_stays(visitor: Visitor) -> None:
    alice, key = make_account("alice", password_hash=None), SoftwareKey()
    add_key(alice, key)
    assert enter(visitor, key).path == "/account"
    place = f"{LIST}/{kept()[0].id}/remove"
    assert "is the only way into your account" in visitor.get(place).text
    with pytest.raises(PortalError, match="only way"), transaction():
        remove_passkey(actor_named("alice"), kept()[0].id)
    with transaction():
        remove_passkey(actor_named("alice"), kept()[0].id, other_way_in=True)
    assert kept() == []


@pytest.mark.parametrize("setting", [{"require_factor": ["staff"]}])
def test_whoever_must_have_one_sets_it_up_and_goes_on(visitor: Visitor) -> None:
    make_account("tess")
    page = visitor.sign_in("tess")
    assert page.path == "/account/security"
    assert any(link.startswith(NEW) for link in page.links())
    made = add(visitor, SoftwareKey(), place=next(link for link in page.links() if link.startswith(NEW)))
    assert made.status == 201
    assert "/staff" in made.links()
    assert visitor.get("/staff", follow=False).status == 200


def test_without_scripts_the_page_says_so(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.send(alice.get(NEW), {"name": "Phone"}, to=NEW)
    assert page.status == 422
    assert "Passkeys need scripts" in page.text
    assert 'value="Phone"' in page.html


def test_a_session_by_passkey_is_as_fresh_as_one_by_password(app: Doorward) -> None:
    alice, key = make_account("alice"), SoftwareKey()
    add_key(alice, key)
    visitor = Visitor(app.test_client())
    enter(visitor, key)
    assert visitor.get(NEW).path == NEW
    assert session_of("nonsense") is None
