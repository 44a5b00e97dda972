"""Another e-mail address: a link to the new one, word to the old one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.accounts.links import Purpose, make_link
from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.web.frame import Doorward
from tests.letters import letters, the_letter
from tests.people import make_account
from tests.races import race
from tests.signin.addresses import NEW, OLD, addresses, ask, move, stranger, use
from tests.visitor import Visitor


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
        pages.append(
            re.sub(
                r'Use it by [^,]+, [0-9:]+|value="[^"]*"|[0-9a-f-]{36}|\b[A-Z]{1,2}</span>|ava \w+|Carol|Alice',
                "",
                shown,
            )
        )
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


NO_ADDRESS = [
    "", "alice", "alice@", "@new.example", "a b@new.example", "alice@new.example\r\nBcc: eve@example.org",
    "alice@new.example, eve@example.org", "al\u200bice@new.example", "\uff41@new@example.org",
    "x" * 65 + "@new.example", OLD, "ALICE@EXAMPLE.ORG", "alice@\u202enew.example",
]  # fmt: skip


def test_what_is_no_address_or_ones_own_is_refused(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.get("/account/email")
    for typed in NO_ADDRESS:
        assert alice.send(page, {"email": typed}).status == 422, typed
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
