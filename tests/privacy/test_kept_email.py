"""The former address takes a change back for a week: everybody is out, and what was added since is gone."""

from __future__ import annotations

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
from portal.keys.models import ApiKey
from portal.signin.models import Passkey
from portal.signin.registration import NewPerson, register
from portal.web.frame import Doorward
from tests.letters import forget_letters, letters, the_letter
from tests.passkeys import add_key
from tests.people import PASSWORD, make_account
from tests.races import race
from tests.signin.addresses import NEW, OLD, addresses, move, stranger, use
from tests.signin.phones import account_of
from tests.software_key import SoftwareKey
from tests.visitor import Visitor


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


def test_what_was_added_since_to_come_in_by_is_gone(app: Doorward, key_of: Callable[..., str]) -> None:
    alice = make_account("alice")
    add_key(alice, SoftwareKey(), "the owner's")
    key_of(alice, "the owner's")
    clock.shift(timedelta(days=2))
    with transaction():
        path = make_link(Purpose.NEW_EMAIL, account_of("alice"), {"email": NEW, "canonical": NEW})
    use(stranger(app), path)
    add_key(account_of("alice"), SoftwareKey(), "the thief's")
    key_of(alice, "the thief's")
    use(stranger(app), the_letter("email_changed").path)
    assert db.session.scalars(select(Passkey.name)).all() == ["the owner's"]
    assert db.session.scalars(select(ApiKey.name).where(ApiKey.revoked_at.is_(None))).all() == ["the owner's"]


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
