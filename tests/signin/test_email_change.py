"""Another e-mail address: a link to the new one, word to the old one, which can take it back for a week."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.accounts.links import Purpose, make_link
from portal.accounts.models import Account, OneTimeLink, State
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.core.errors import Invalid
from portal.signin.registration import NewPerson, register
from portal.web.frame import Doorward
from tests.letters import forget_letters, letters, the_letter
from tests.people import PASSWORD, make_account
from tests.races import race
from tests.visitor import SeenPage, Visitor

NEW = "alice@new.example"
OLD = "alice@example.org"


def ask(visitor: Visitor, email: str = NEW) -> SeenPage:
    """Ask for another address through the page."""
    return visitor.send(visitor.get("/account/email"), {"email": email})


def stranger(app: Doorward) -> Visitor:
    """Somebody with another browser, signed in nowhere."""
    return Visitor(app.test_client())


def use(visitor: Visitor, path: str) -> SeenPage:
    """Open a mailed link and press its button."""
    return visitor.send(visitor.get(path))


def move(visitor: Visitor, email: str = NEW) -> None:
    """Change the address of who is signed in."""
    assert ask(visitor, email).status == 200
    assert use(visitor, the_letter("new_email", to=email).path).path == "/account/email"


def addresses(name: str = "alice") -> tuple[str | None, str | None, bool]:
    """The address of an account, as shown and compared, and whether it is confirmed."""
    db.session.expire_all()
    account = db.session.scalars(select(Account).where(Account.username_canonical == name)).one()
    return account.email, account.email_canonical, account.email_verified_at is not None


def test_the_address_changes_when_the_link_is_used_and_not_before(
    app: Doorward, person: Callable[..., Visitor]
) -> None:
    alice = person("alice")
    page = ask(alice, "Alice@New.Example")
    assert "Alice@New.Example" in page.text
    path = the_letter("new_email", to="Alice@New.Example").path
    for _ in range(2):
        assert stranger(app).get(path).status == 200
    assert stranger(app).client.head(path).status_code == 200
    assert addresses() == (OLD, OLD, True)
    assert use(alice, path).path == "/account/email"
    assert addresses() == ("Alice@New.Example", NEW, True)
    assert stranger(app).sign_in(NEW).path == "/account"
    assert stranger(app).sign_in(OLD).status == 422


def test_another_browser_may_use_the_link_and_is_signed_in_nowhere(
    app: Doorward, person: Callable[..., Visitor]
) -> None:
    alice, other = person("alice"), stranger(app)
    ask(alice)
    assert use(other, the_letter("new_email").path).path == "/sign-in"
    assert addresses() == (NEW, NEW, True)
    assert other.get("/account", follow=False).status == 302
    assert alice.get("/account", follow=False).status == 302, "every session of before is over"


def test_the_browser_that_asked_stays_signed_in_and_all_others_do_not(
    app: Doorward, person: Callable[..., Visitor]
) -> None:
    alice, elsewhere = person("alice"), stranger(app)
    elsewhere.sign_in("alice")
    before = alice.client.get_cookie("doorward")
    move(alice)
    after = alice.client.get_cookie("doorward")
    assert alice.get("/account", follow=False).status == 200
    assert elsewhere.get("/account", follow=False).status == 302
    assert before is not None and after is not None
    alice.client.set_cookie("doorward", before.value)
    assert alice.get("/account", follow=False).status == 302, "the cookie of before is dead"


def test_the_old_address_is_told_when_it_is_asked_and_when_it_is_done(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    ask(alice)
    assert [letter.to for letter in letters("notice")] == [OLD]
    use(alice, the_letter("new_email").path)
    told = the_letter("email_changed")
    assert (told.to, told.values["address"]) == (OLD, "a•••@n•••.example")
    assert told.path.startswith("/keep-email/")


def test_an_address_that_is_taken_gets_the_same_answer_and_its_owner_a_mail(
    app: Doorward, person: Callable[..., Visitor]
) -> None:
    make_account("bob")
    pages = []
    for name, wanted in (("alice", "bob@example.org"), ("carol", "cyd@example.org")):
        visitor = person(name)
        page = ask(visitor, wanted)
        shown = page.html.replace(wanted, "WANTED").replace(f"{name}@example.org", "OWN").replace(name, "name")
        pages.append(re.sub(r'value="[^"]*"|[0-9a-f-]{36}|\b[A-Z]{1,2}</span>|ava \w+|Carol|Alice', "", shown))
    assert pages[0] == pages[1]
    assert the_letter("email_wanted").to == "bob@example.org"
    assert "Alice" not in str(the_letter("email_wanted").values)
    assert [letter.to for letter in letters("new_email")] == ["cyd@example.org"]
    assert [letter.to for letter in letters("notice")] == [OLD, "carol@example.org"]


def test_only_whoever_showed_shortly_before_who_they_are_may_ask(person: Callable[..., Visitor], app: Doorward) -> None:
    alice = person("alice")
    page = alice.get("/account/email")
    clock.shift(timedelta(minutes=5, seconds=1))
    assert alice.send(page, {"email": NEW}).path == "/account/reauth"
    assert alice.get("/account/email").path == "/account/reauth"
    assert letters("new_email") == []
    assert stranger(app).post("/account/email", {"email": NEW}).status in {400, 401}


@pytest.mark.parametrize(
    "typed",
    ["", "alice", "alice@", "@new.example", "a b@new.example", "alice@new.example\r\nBcc: eve@example.org",
     "alice@new.example, eve@example.org", "al\u200bice@new.example", "\uff41@new@example.org",
     "x" * 65 + "@new.example",
     OLD, "ALICE@EXAMPLE.ORG", "alice@\u202enew.example"],
)  # fmt: skip
def test_what_is_no_address_or_ones_own_is_refused(person: Callable[..., Visitor], typed: str) -> None:
    alice = person("alice")
    assert ask(alice, typed).status == 422
    assert letters("new_email") == []


@pytest.mark.parametrize("setting", [{"email_domains": ["example.org"]}])
def test_the_domains_of_the_site_hold(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    assert ask(alice, NEW).status == 422
    assert ask(alice, "al@example.org").status == 200


def test_a_link_lives_a_day_and_dies_with_a_newer_one_and_with_a_taken_back_wish(
    person: Callable[..., Visitor], app: Doorward
) -> None:
    alice = person("alice")
    ask(alice)
    first = the_letter("new_email").path
    ask(alice, "al@new.example")
    second = the_letter("new_email", to="al@new.example").path
    assert stranger(app).get(first).status == 404
    page = alice.get("/account/email")
    assert "al@new.example" in page.text
    alice.send(page, to="/account/email/forget")
    assert stranger(app).get(second).status == 404
    ask(alice)
    third = letters("new_email", to=NEW)[-1].path
    clock.shift(timedelta(hours=24, seconds=1))
    assert stranger(app).get(third).status == 404
    assert addresses() == (OLD, OLD, True)


def test_a_link_is_dead_once_the_password_was_reset(person: Callable[..., Visitor], app: Doorward) -> None:
    alice = person("alice")
    ask(alice)
    path = the_letter("new_email").path
    with transaction():
        account = db.session.scalars(select(Account)).one()
        reset = make_link(Purpose.RESET, account)
    visitor = stranger(app)
    assert visitor.send(visitor.get(reset), {"password": "quiet new lanterns", "again": "quiet new lanterns"}).path == (
        "/sign-in"
    )
    assert stranger(app).get(path).status == 404


def test_links_of_before_die_with_the_change(person: Callable[..., Visitor], app: Doorward) -> None:
    alice = person("alice")
    with transaction():
        reset = make_link(Purpose.RESET, db.session.scalars(select(Account)).one())
    move(alice)
    assert stranger(app).get(reset).status == 404


def test_of_twenty_who_use_the_link_at_once_one_does(person: Callable[..., Visitor], app: Doorward) -> None:
    ask(person("alice"))
    path = the_letter("new_email").path
    visitors = [stranger(app) for _ in range(20)]
    pages = [visitor.get(path) for visitor in visitors]
    statuses = race(20, lambda number: visitors[number].send(pages[number], follow=False).status)
    assert statuses.count(302) == 1
    assert set(statuses) <= {302, 404, 409}
    assert db.session.scalar(select(func.count()).where(AuditEntry.event == "email.changed")) == 1


def test_of_accounts_that_confirm_one_address_at_once_one_gets_it(app: Doorward) -> None:
    people = [make_account(f"user{number}") for number in range(8)]
    with transaction():
        facts = {"email": NEW, "canonical": NEW}
        paths = [make_link(Purpose.NEW_EMAIL, account, facts) for account in people]
    visitors = [stranger(app) for _ in people]
    pages = [visitor.get(path) for visitor, path in zip(visitors, paths, strict=True)]
    answers = race(8, lambda number: visitors[number].send(pages[number], follow=False))
    assert sorted(page.status for page in answers) == [302, *[409] * 7]
    assert all("belongs to another account by now" in page.text for page in answers if page.status == 409)
    assert db.session.scalar(select(func.count()).where(Account.email_canonical == NEW)) == 1


def test_asking_often_is_slowed(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    statuses = [ask(alice, f"alice{number}@new.example").status for number in range(6)]
    assert statuses == [200] * 5 + [429]
    assert len(letters("new_email")) == 5


@pytest.mark.parametrize("name", ["tess", "max", "ada"])
def test_staff_and_admins_change_theirs_too(person: Callable[..., Visitor], name: str) -> None:
    visitor = person(name)
    move(visitor, f"{name}@new.example")
    assert addresses(name)[0] == f"{name}@new.example"


def test_the_former_address_takes_it_back_and_everybody_is_out(person: Callable[..., Visitor], app: Doorward) -> None:
    thief = person("alice")
    move(thief)
    keep = the_letter("email_changed").path
    forget_letters()
    owner = stranger(app)
    assert use(owner, keep).path == "/sign-in"
    assert addresses() == (OLD, OLD, True)
    assert thief.get("/account", follow=False).status == 302
    assert stranger(app).sign_in("alice").status == 422, "whoever knows the password is shut out till it is reset"
    assert sorted((one.template, one.to) for one in letters()) == [("notice", OLD), ("notice", NEW), ("reset", OLD)]
    path = the_letter("reset").path
    owner.send(owner.get(path), {"password": "quiet new lanterns", "again": "quiet new lanterns"})
    assert owner.sign_in(OLD, "quiet new lanterns").path == "/account"
    assert stranger(app).sign_in("alice", PASSWORD).status == 422


def test_it_is_taken_back_whatever_was_changed_later(person: Callable[..., Visitor], app: Doorward) -> None:
    thief = person("alice")
    move(thief)
    keep = the_letter("email_changed").path
    move(thief, "thief@second.example")
    later = the_letter("email_changed", to=NEW).path
    clock.shift(timedelta(days=7) - timedelta(minutes=1))
    use(stranger(app), keep)
    assert addresses() == (OLD, OLD, True)
    assert stranger(app).get(later).status == 404, "the thief's own address takes nothing back any more"


def test_it_is_taken_back_for_a_week_and_once(person: Callable[..., Visitor], app: Doorward) -> None:
    move(person("alice"))
    keep = the_letter("email_changed").path
    visitor = stranger(app)
    page = visitor.get(keep)
    assert addresses()[0] == NEW
    clock.shift(timedelta(days=7, seconds=1))
    assert visitor.send(page).status == 404
    clock.shift(timedelta(0))
    use(visitor, keep)
    assert visitor.get(keep).status == 404


def test_of_twenty_who_take_it_back_at_once_one_does(person: Callable[..., Visitor], app: Doorward) -> None:
    move(person("alice"))
    path = the_letter("email_changed").path
    visitors = [stranger(app) for _ in range(20)]
    pages = [visitor.get(path) for visitor in visitors]
    statuses = race(20, lambda number: visitors[number].send(pages[number], follow=False).status)
    assert statuses.count(302) == 1
    assert set(statuses) <= {302, 404, 409}
    assert addresses() == (OLD, OLD, True)


def test_nobody_else_gets_the_former_address_while_it_can_be_taken_back(person: Callable[..., Visitor]) -> None:
    move(person("alice"))
    squatter = NewPerson("ivo", OLD)
    with pytest.raises(Invalid, match="Something"), transaction():
        register(nobody("192.0.2.1"), squatter, "seven noisy trumpets")
    clock.shift(timedelta(days=7, seconds=1))
    with transaction():
        assert register(nobody("192.0.2.1"), squatter, "seven noisy trumpets") is not None


@pytest.mark.parametrize("setting", [{"support_email": "desk@example.org"}])
def test_an_address_that_another_account_holds_is_not_given_back_and_support_is_told(
    person: Callable[..., Visitor], app: Doorward
) -> None:
    thief = person("alice")
    move(thief)
    keep = the_letter("email_changed").path
    make_account("eve", email=OLD, email_canonical=OLD)
    page = use(stranger(app), keep)
    assert (page.status, page.title) == (200, "This address cannot be given back here")
    assert "desk@example.org" in page.text
    assert the_letter("email_not_kept").to == "desk@example.org"
    assert addresses()[0] == NEW
    assert thief.get("/account", follow=False).status == 302


def test_an_address_that_nobody_confirmed_is_told_and_given_no_way_in(person: Callable[..., Visitor]) -> None:
    move(person("alice", email_verified_at=None))
    assert the_letter("email_changed").values["link"] == ""
    assert addresses() == (NEW, NEW, True)
    assert db.session.scalar(select(func.count()).where(OneTimeLink.purpose == "keep_email")) == 0


def test_a_suspended_account_gets_its_address_back_and_stays_suspended(
    person: Callable[..., Visitor], app: Doorward
) -> None:
    move(person("alice"))
    keep = the_letter("email_changed").path
    with transaction():
        db.session.scalars(select(Account)).one().state = State.SUSPENDED.value
    forget_letters()
    use(stranger(app), keep)
    assert addresses() == (OLD, OLD, True)
    assert letters("reset") == []


def test_what_happened_is_on_record(person: Callable[..., Visitor], app: Doorward) -> None:
    move(person("alice"))
    use(stranger(app), the_letter("email_changed").path)
    told = db.session.execute(
        select(AuditEntry.event, AuditEntry.actor_name)
        .where(AuditEntry.event.startswith("email."))
        .order_by(AuditEntry.at)
    ).all()
    assert [tuple(one) for one in told] == [
        ("email.change_asked", "alice"),
        ("email.changed", "alice"),
        ("email.kept", "alice"),
    ]
