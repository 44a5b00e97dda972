"""Editing a record: by an admin, and one's own profile."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.accounts.lifecycle import (
    edit_profile,
    edit_user,
)
from portal.accounts.links import Purpose, look_at_link, make_link
from portal.accounts.models import Account, State, User
from portal.audit.models import AuditEntry
from portal.core import crypto
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Invalid, NotFound
from portal.mail.models import OutboxMail
from portal.web.frame import Doorward
from tests.letters import forget_letters, letters, the_letter
from tests.people import actor_named, make_account


def edit(bob: User, **wanted: object) -> User:
    """Edit bob as ada, everything else left as it is."""
    given = {
        "version": bob.version,
        "display_name": bob.display_name,
        "email": bob.email,
        "time_zone": bob.time_zone,
        "daily_limit_override": bob.daily_limit_override,
        **wanted,
    }
    with transaction():
        return edit_user(actor_named("ada"), bob.id, **given)  # type: ignore[arg-type]  # by the test


@pytest.fixture
def bob(app: Doorward) -> User:
    """Bob, whom Ada edits."""
    make_account("ada")
    made = make_account("bob")
    assert isinstance(made, User)
    return made


def test_an_edit_changes_what_it_says_and_records_which(bob: User) -> None:
    edit(bob, display_name="Robert", daily_limit_override=7)
    kept = db.session.get_one(User, bob.id)
    assert (kept.display_name, kept.daily_limit_override) == ("Robert", 7)
    assert kept.search_text == "bob bob@example.org robert"
    facts = {entry.event: entry.facts for entry in db.session.scalars(select(AuditEntry))}
    assert facts == {
        "account.edited": {"changed": ["display_name"]},
        "account.limit_changed": {"from": None, "to": 7},
    }


def test_an_edit_of_nothing_leaves_no_record(bob: User) -> None:
    edit(bob)
    assert db.session.scalars(select(AuditEntry)).all() == []


def test_an_edit_of_an_older_version_is_refused(bob: User) -> None:
    seen = bob.version
    edit(bob, display_name="Robert")
    with pytest.raises(Conflict, match="Someone else changed this record"):
        edit(bob, version=seen, display_name="Bobby")
    assert db.session.get_one(User, bob.id).display_name == "Robert"


WRONG: list[dict[str, object]] = [
    {"email": "ada@example.org"},
    {"email": "nonsense"},
    {"time_zone": "Mars/Olympus"},
    {"display_name": "a\u202eb"},
    {"daily_limit_override": -1},
    {"daily_limit_override": 1_000_001},
]


def test_an_edit_that_is_wrong_changes_nothing(bob: User) -> None:
    for wanted in WRONG:
        with pytest.raises(Invalid) as told:
            edit(bob, **wanted)
        assert list(told.value.fields) == list(wanted)
    assert db.session.scalars(select(AuditEntry)).all() == []


def test_another_address_is_unconfirmed_and_ends_sessions_and_mailed_links(bob: User) -> None:
    with transaction():
        token = make_link(Purpose.RESET, bob).removeprefix("/reset/")
    epoch = bob.epoch
    edit(bob, email="robert@example.org")
    kept = db.session.get_one(User, bob.id)
    assert kept.email_verified_at is None
    assert kept.epoch == epoch + 1
    with pytest.raises(NotFound):
        look_at_link(token, Purpose.RESET)


@pytest.mark.parametrize("setting", [{"confirm_email": True}])
def test_another_address_is_confirmed_by_a_mail_to_it(bob: User) -> None:
    edit(bob, email="robert@example.org")
    mail = db.session.scalars(select(OutboxMail).where(OutboxMail.template == "confirm")).one()
    opened = crypto.unseal(mail.sealed or "", place=f"outbox:{mail.id}")
    assert opened["to"] == "robert@example.org"
    look_at_link(opened["values"]["link"].rpartition("/")[2], Purpose.CONFIRM)


def test_the_address_of_before_is_told_and_can_take_an_edit_back_if_it_was_confirmed(bob: User) -> None:
    edit(bob, email="robert@example.org")
    told = the_letter("email_changed")
    assert told.to == "bob@example.org"
    link = look_at_link(told.path.rpartition("/")[2], Purpose.KEEP_EMAIL)
    assert link.facts["canonical"] == "bob@example.org"
    forget_letters()
    edit(bob, email="rob@example.org")
    assert (the_letter("email_changed").to, the_letter("email_changed").values["link"]) == ("robert@example.org", "")


def test_putting_an_invitation_right_tells_the_wrong_address_nothing(bob: User) -> None:
    with transaction():
        db.session.get_one(User, bob.id).state = State.INVITED.value
    edit(bob, email="robert@example.org")
    assert letters() == []


def test_the_same_address_written_otherwise_stays_confirmed(bob: User) -> None:
    edit(bob, email="BOB@example.org")
    kept = db.session.get_one(User, bob.id)
    assert (kept.email, kept.email_verified_at is not None) == ("BOB@example.org", True)


def test_the_own_profile_is_edited_by_every_kind(app: Doorward) -> None:
    for name in ("alice", "tess", "max"):
        make_account(name)
        with transaction():
            edit_profile(actor_named(name), display_name=f"{name} A.", time_zone="Asia/Kathmandu")
        db.session.expire_all()
        kept = db.session.get_one(Account, actor_named(name).id)
        assert (kept.display_name, kept.time_zone) == (f"{name} A.", "Asia/Kathmandu")
