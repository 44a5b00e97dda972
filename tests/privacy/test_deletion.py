"""A deleted user is gone from everywhere, restorable until the purge, and comes back without old doors open."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from portal.accounts import names
from portal.accounts.directory import account_named
from portal.accounts.links import Purpose, look_at_link, make_link
from portal.accounts.models import Account, User
from portal.audit.models import AuditEntry
from portal.core import clock, crypto, settings
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.privacy.deletion import delete_user, list_deleted, restore_user
from portal.privacy.models import DeletedUser
from portal.support.search import search_desk
from portal.usage.credits import grant_credits
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import actor_named, make_account
from tests.visitor import Visitor

CANARY = "nightjar"


@pytest.fixture
def alice(app: Doorward) -> Account:
    """Alice, whom Ada deletes; her personal data has a word of its own."""
    make_account("ada")
    columns = {"email": f"{CANARY}@example.org", "email_canonical": f"{CANARY}@example.org"}
    return make_account("alice", **columns, display_name=f"Alice {CANARY}", search_text=f"alice {CANARY}")


def remove(account: Account, *, typed: str = "alice", reason: str = "asked for it") -> None:
    with transaction():
        delete_user(actor_named("ada").because(reason), account.id, typed_name=typed)


def restore(account: Account) -> None:
    with transaction():
        restore_user(actor_named("ada").because("came back"), account.id)


def test_the_live_row_keeps_its_id_and_nothing_personal(alice: Account) -> None:
    remove(alice)
    row = db.session.execute(text("SELECT * FROM accounts WHERE state = 'deleted'")).mappings().one()
    shown = json.dumps(dict(row), default=str)
    assert alice.id.hex in shown.replace("-", "")
    assert CANARY not in shown and "alice" not in shown and "s384" not in shown
    deleted = db.session.get_one(DeletedUser, alice.id)
    assert CANARY not in deleted.sealed
    assert crypto.unseal(deleted.sealed, place=f"deleted_users:{alice.id}")["email"] == f"{CANARY}@example.org"


def test_it_says_who_when_why_and_until_when(alice: Account) -> None:
    remove(alice)
    deleted = db.session.get_one(DeletedUser, alice.id)
    assert (deleted.deleted_by, deleted.reason) == ("ada", "asked for it")
    assert abs(deleted.purge_after - deleted.deleted_at - timedelta(days=30)) < timedelta(seconds=1)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "account.deleted")).one()
    assert (entry.target_id, entry.target_name, entry.reason) == (alice.id, None, "asked for it")
    assert entry.facts == {"purge_after": deleted.purge_after.isoformat()}


@pytest.mark.parametrize(
    ("typed", "reason", "field"),
    [("alicia", "asked", "username"), ("", "asked", "username"), ("alice", "", "reason"), ("alice", "  ", "reason")],
)
def test_the_name_and_a_reason_are_asked(alice: Account, typed: str, reason: str, field: str) -> None:
    with pytest.raises(Invalid) as told:
        remove(alice, typed=typed, reason=reason)
    assert list(told.value.fields) == [field]
    assert db.session.get_one(User, alice.id).state == "active"
    assert db.session.scalars(select(DeletedUser)).all() == []


def test_the_name_may_be_typed_in_capitals(alice: Account) -> None:
    remove(alice, typed=" ALICE ")
    assert db.session.get_one(User, alice.id).state == "deleted"


def test_it_is_found_nowhere(alice: Account) -> None:
    make_account("tess")
    remove(alice)
    for typed in ("alice", f"{CANARY}@example.org"):
        assert account_named(typed) is None
        assert search_desk(actor_named("tess"), typed) == []
        assert search_desk(actor_named("ada"), typed) == []
    assert search_desk(actor_named("ada"), str(alice.id)) == []


def test_signing_in_and_asking_for_a_reset_answer_as_for_nobody(app: Doorward, alice: Account) -> None:
    remove(alice)
    assert "The name or the password is not right" in Visitor(app.test_client()).sign_in("alice").text
    visitor = Visitor(app.test_client())
    visitor.send(visitor.get("/forgotten"), {"name": "alice"})
    assert db.session.execute(text("SELECT count(*) FROM outbox")).scalar() == 0


def test_its_keys_are_refused_for_good_even_after_a_restore(
    alice: Account, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine(), key_of(alice)
    assert gate.post("/keys/verify", {"key": key}).get_json()["code"] == "VALID"
    remove(alice)
    refused = gate.post("/keys/verify", {"key": key}).get_json()
    assert (refused["code"], CANARY in json.dumps(refused)) == ("KEY_REVOKED", False)
    restore(alice)
    assert gate.post("/keys/verify", {"key": key}).get_json()["code"] == "KEY_REVOKED"


def test_a_mailed_link_dies_with_it_and_stays_dead(alice: Account) -> None:
    with transaction():
        token = make_link(Purpose.RESET, alice).rpartition("/")[2]
    remove(alice)
    restore(alice)
    with pytest.raises(NotFound):
        look_at_link(token, Purpose.RESET)


def test_a_restore_puts_all_back_as_it_was(app: Doorward, alice: Account) -> None:
    with transaction():
        grant_credits(operator_actor().because("welcome"), alice.id, 50)
    before = {
        name: getattr(alice, name) for name in ("username", "email", "display_name", "email_verified_at", "plan_id")
    }
    remove(alice)
    restore(alice)
    again = db.session.get_one(User, alice.id)
    assert {name: getattr(again, name) for name in before} == before
    assert db.session.scalars(select(DeletedUser)).all() == []
    assert Visitor(app.test_client()).sign_in("alice").path == "/account"
    assert [found.username for found in search_desk(actor_named("ada"), CANARY)] == ["alice"]


def test_a_suspended_user_comes_back_suspended(alice: Account) -> None:
    with transaction():
        db.session.get_one(User, alice.id).state = "suspended"
    remove(alice)
    restore(alice)
    assert db.session.get_one(User, alice.id).state == "suspended"


def test_a_user_can_be_deleted_again(alice: Account) -> None:
    for _ in range(2):
        remove(alice)
        with pytest.raises(NotFound):
            remove(alice)
        restore(alice)
        with pytest.raises(NotFound):
            restore(alice)


def test_a_seal_of_another_row_restores_nobody(alice: Account) -> None:
    bobby = make_account("bobby")
    remove(alice)
    remove(bobby, typed="bobby")
    with transaction():
        db.session.get_one(DeletedUser, alice.id).sealed = db.session.get_one(DeletedUser, bobby.id).sealed
    with pytest.raises(crypto.BadSeal):
        restore(alice)


def test_only_those_who_may_delete_and_restore(alice: Account) -> None:
    make_account("tara")
    make_account("usermin", permissions=["users.write"])
    make_account("delmin", permissions=["users.delete"])
    for name in ("tara", "usermin", "alice"):
        with pytest.raises(Forbidden):
            delete_user(actor_named(name).because("x"), alice.id, typed_name="alice")
        with pytest.raises(Forbidden):
            list_deleted(actor_named(name))
    with transaction():
        delete_user(actor_named("delmin").because("x"), alice.id, typed_name="alice")
    with pytest.raises(Forbidden):
        restore_user(actor_named("usermin"), alice.id)


def test_staff_admins_and_nobody_are_not_deleted_here(alice: Account) -> None:
    tess, ada = make_account("tess"), actor_named("ada")
    for account_id, name in ((tess.id, "tess"), (ada.id, "ada"), (new_id(), "x")):
        assert account_id is not None
        with pytest.raises(NotFound):
            delete_user(ada.because("x"), account_id, typed_name=name)
        with pytest.raises(NotFound):
            restore_user(ada.because("x"), account_id)


def test_the_deleted_are_listed_latest_first_with_their_names(alice: Account) -> None:
    bobby = make_account("bobby")
    remove(alice)
    clock.shift(timedelta(minutes=1))
    remove(bobby, typed="bobby")
    page, usernames = list_deleted(actor_named("ada"))
    assert [usernames[row.user_id] for row in page.items] == ["bobby", "alice"]


def test_names_stay_reserved_when_the_secret_key_is_changed(alice: Account) -> None:
    remove(alice)
    former = settings.current().secret_key
    change = {"secret_key": "n" * 43, "secret_key_fallbacks": [former]}
    settings.enter(settings.current().model_copy(update=change))
    try:
        assert names.username_taken("alice")
        assert names.email_taken(f"{CANARY}@example.org")
        assert not names.username_taken("alicia")
    finally:
        settings.leave()


@pytest.mark.parametrize("column", ["username_canonical", "email_canonical"])
def test_a_name_that_somebody_else_holds_by_now_is_a_conflict(alice: Account, column: str) -> None:
    held = getattr(alice, column)
    remove(alice)
    make_account("bobby", **{column: held})
    with pytest.raises(Conflict, match="held by another account"):
        restore(alice)
    assert db.session.get_one(User, alice.id).state == "deleted"


@pytest.mark.parametrize("setting", [{"deleted_retention_days": 7}])
def test_the_setting_decides_how_long_it_can_be_undone(alice: Account) -> None:
    remove(alice)
    deleted = db.session.get_one(DeletedUser, alice.id)
    assert abs(deleted.purge_after - deleted.deleted_at - timedelta(days=7)) < timedelta(seconds=1)
