"""Leaving: shut at once, open for coming back, deleted after two weeks; of coming back and the job one wins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.accounts.models import Account, State, User
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import PortalError, ReauthNeeded
from portal.jobs.runner import run_job
from portal.mail.models import OutboxMail
from portal.privacy.closing import GRACE, close_account, close_accounts, take_back_closing
from portal.privacy.deletion import delete_user, restore_user
from portal.privacy.models import DeletedUser
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import actor_named, make_account
from tests.races import race
from tests.visitor import Visitor

TYPED = {"username": "alice"}


def leave(alice: Visitor) -> None:
    page = alice.send(alice.get("/account/data/close"), TYPED)
    assert page.path == "/account/data", page.text
    assert "Keep my account" in page.text


def state_of(name: str) -> str:
    db.session.expire_all()
    return db.session.scalars(select(Account.state).where(Account.username_canonical == name)).one()


def events() -> list[str]:
    return list(db.session.scalars(select(AuditEntry.event).where(AuditEntry.event.startswith("account.clos"))))


def test_whoever_leaves_is_shut_in_all_but_two_pages_and_may_come_back(
    person: Callable[..., Visitor], app: Doorward
) -> None:
    alice = person("alice")
    elsewhere = Visitor(app.test_client())
    elsewhere.sign_in("alice")
    leave(alice)
    for shut in ("/account", "/account/keys", "/account/profile", "/account/sessions", "/account/data/close"):
        assert alice.get(shut).path == "/account/data", shut
    assert elsewhere.get("/account").path == "/sign-in", "the other browser was signed out"
    page = elsewhere.sign_in("alice")
    assert page.path == "/account/data", "one may sign in, to come back"
    page = elsewhere.send(page, to="/account/data/take-back")
    assert "Your account stays" in page.text
    assert state_of("alice") == "active"
    assert elsewhere.get("/account").path == alice.get("/account").path == "/account"
    assert events() == ["account.closing", "account.closing_taken_back"]


def test_keys_are_refused_from_the_next_question_on_and_good_again_after(
    person: Callable[..., Visitor], machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice, gate = person("alice"), machine()
    key = key_of(db.session.scalars(select(User)).one())

    def code() -> str:
        answer: str = gate.post("/keys/verify", {"key": key}).get_json()["code"]
        return answer

    assert code() == code() == "VALID"
    leave(alice)
    assert code() == "ACCOUNT_DELETED"
    assert gate.post("/usage/consume", {"username": "alice"}).get_json()["code"] == "ACCOUNT_DELETED"
    alice.send(alice.get("/account/data"), to="/account/data/take-back")
    assert code() == "VALID"


@pytest.mark.parametrize("typed", ["", "bob", "alic", "alice@example.org"])
def test_another_name_closes_nothing(person: Callable[..., Visitor], typed: str) -> None:
    alice = person("alice")
    page = alice.send(alice.get("/account/data/close"), {"username": typed})
    assert page.status == 422
    assert state_of("alice") == "active"


def test_it_wants_to_be_sure_who_it_is(app: Doorward) -> None:
    make_account("alice")
    actor = actor_named("alice")
    clock.shift(timedelta(minutes=5, seconds=1))
    with pytest.raises(ReauthNeeded):
        close_account(actor, typed_name="alice")
    assert state_of("alice") == "active"


def test_the_mail_names_the_day_and_the_way_back(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    leave(alice)
    mails = db.session.scalars(select(OutboxMail.template).order_by(OutboxMail.created_at)).all()
    assert mails.count("closing") == 1


@pytest.mark.parametrize("name", ["tess", "ada"])
def test_staff_and_admins_are_told_to_ask(person: Callable[..., Visitor], name: str) -> None:
    somebody = person(name)
    assert "Ask an admin" in somebody.get("/account/data").text
    assert somebody.get("/account/data/close").status == 403


def test_the_job_deletes_when_the_time_is_over_and_not_a_second_before(person: Callable[..., Visitor]) -> None:
    leave(person("alice"))
    person("bob")
    closes_at = db.session.scalars(select(User.closes_at).where(User.username_canonical == "alice")).one()
    assert closes_at is not None
    clock.shift(GRACE - timedelta(seconds=30))
    assert close_accounts() == 0
    assert state_of("alice") == "closing"
    clock.shift(GRACE + timedelta(seconds=1))
    run = run_job("close_accounts", by_hand=True)
    assert run is not None
    assert run.summary == "closed 1"
    deleted = db.session.scalars(select(DeletedUser)).one()
    assert (deleted.deleted_by, deleted.reason) == ("close_accounts", "The user closed the account.")
    assert state_of("bob") == "active"


def test_who_is_restored_after_leaving_does_not_leave_once_more(person: Callable[..., Visitor]) -> None:
    leave(person("alice"))
    person("ada")
    alice_id = db.session.scalars(select(User.id).where(User.username_canonical == "alice")).one()
    clock.shift(GRACE + timedelta(seconds=1))
    assert close_accounts() == 1
    with transaction():
        restore_user(actor_named("ada").because("came back"), alice_id)
    assert state_of("alice") == "active"
    assert close_accounts() == 0


def test_an_admin_sees_it_and_may_keep_or_delete_the_account(person: Callable[..., Visitor]) -> None:
    leave(person("alice"))
    ada = person("ada")
    alice_id = db.session.scalars(select(User.id)).one()
    assert "alice" in ada.get("/admin/users?state=closing").text
    page = ada.get(f"/admin/users/{alice_id}")
    assert "Closing" in page.text
    [address] = [link for link in page.links() if link.endswith("/reactivate")]
    ada.send(ada.get(address), {"reason": "She thought again."})
    assert state_of("alice") == "active"
    assert db.session.get_one(User, alice_id).closes_at is None


def test_taking_back_twice_is_a_conflict_that_changes_nothing(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    leave(alice)
    page = alice.get("/account/data")
    alice.send(page, to="/account/data/take-back")
    assert alice.send(page, to="/account/data/take-back").status == 409
    assert state_of("alice") == "active"


@pytest.mark.parametrize("repeat", range(3))
def test_of_coming_back_and_the_job_one_wins(app: Doorward, repeat: int) -> None:
    make_account("alice")
    alice_id = db.session.scalars(select(User.id)).one()
    with transaction():
        close_account(actor_named("alice"), typed_name="alice")
    clock.shift(GRACE + timedelta(seconds=1))
    actor = actor_named("alice")
    db.session.remove()

    def act(number: int) -> str:
        with app.app_context():
            if number % 2:
                return "deleted" if close_accounts() else "outrun"
            try:
                with transaction():
                    take_back_closing(actor)
            except PortalError:
                return "too late"
            except Exception as error:  # the version of the row: a page answers 409
                return type(error).__name__
            return "kept"

    said = race(8, act)
    db.session.expire_all()
    user = db.session.get_one(User, alice_id)
    assert said.count("kept") + said.count("deleted") == 1, said
    assert user.state == ("active" if "kept" in said else "deleted")
    assert (db.session.get(DeletedUser, alice_id) is None) == ("kept" in said)


def test_an_admin_may_be_quicker_than_the_job(person: Callable[..., Visitor]) -> None:
    leave(person("alice"))
    person("ada")
    user = db.session.scalars(select(User)).one()
    with transaction():
        delete_user(actor_named("ada").because("asked by phone"), user.id, typed_name="alice")
    clock.shift(GRACE + timedelta(seconds=1))
    assert close_accounts() == 0
    assert db.session.get_one(User, user.id).state == State.DELETED
