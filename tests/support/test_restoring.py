"""A deleted user is found by their exact names, and brought back at level 3; or purged before their time."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm.exc import StaleDataError

from portal.accounts.models import Account, User
from portal.audit.models import AuditEntry
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import CaseNeeded, Forbidden, Invalid, NotFound
from portal.jobs.runner import run_job
from portal.privacy.deletion import delete_user, find_deleted, list_deleted, restore_user, see_deleted
from portal.privacy.models import DeletedUser
from portal.privacy.purging import purge_is_due, purge_now
from portal.web.frame import Doorward
from tests.conftest import signed_in
from tests.people import acting, actor_named, make_account
from tests.races import race

EMAIL = "liddell@wonder.example.org"


@pytest.fixture
def alice(app: Doorward) -> Account:
    """Whose account is gone."""
    for name in ("theo", "tara", "ada"):
        make_account(name)
    user = make_account("alice", email=EMAIL, email_canonical=EMAIL)
    with transaction():
        delete_user(operator_actor().because("asked for it"), user.id, typed_name="alice")
    return user


def test_only_the_exact_name_finds_and_only_who_may_restore_looks(alice: Account) -> None:
    bob = make_account("bob")
    tara = actor_named("tara")
    for typed in ("alice", " ALICE ", EMAIL, EMAIL.upper(), str(alice.id)):
        assert find_deleted(tara, typed) == alice.id, typed
    for typed in (
        "alic",
        "alice%",
        "liddell",
        "wonder.example.org",
        "@",
        "\0",
        "bob",
        str(bob.id),
        "x" * 400,
        "deleted:",
    ):
        assert find_deleted(tara, typed) is None, typed
    seen = see_deleted(tara, alice.id)
    assert (seen.username, seen.email, seen.reason) == ("alice", "l•••@w•••.org", "asked for it")
    for who in (actor_named("theo"), actor_named("bob")):
        with pytest.raises(Forbidden):
            find_deleted(who, "alice")
        with pytest.raises(Forbidden):
            restore_user(who, alice.id)
    with pytest.raises(NotFound):
        see_deleted(tara, bob.id)
    with pytest.raises(NotFound):
        acting("theo", alice)  # nobody below opens a case about them
    with pytest.raises(CaseNeeded):
        restore_user(tara, alice.id)
    with pytest.raises(CaseNeeded):
        restore_user(acting("tara", bob), alice.id)
    with pytest.raises(Invalid):
        restore_user(actor_named("ada"), alice.id)


def test_at_the_desk_they_come_back(alice: Account, app: Doorward) -> None:
    tara = signed_in(app, "tara")
    assert "Nobody found" in tara.get("/staff/deleted?q=alic").text
    case = tara.get("/staff/deleted?q=alice")
    assert case.path == f"/staff/cases/new/{alice.id}"
    preview = tara.send(case, {"reason": "Never meant to leave.", "channel": "phone"})
    assert preview.path == f"/staff/deleted/{alice.id}"
    for words in ("alice", "l•••@w•••.org", "asked for it", "every session stays ended"):
        assert words in preview.text
    assert "liddell" not in preview.html
    assert tara.send(preview, {"reason": ""}).status == 422
    assert tara.send(preview).path == f"/staff/users/{alice.id}"
    assert signed_in(app, "alice").get("/account").status == 200
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "account.restored")).one()
    assert (entry.actor_name, entry.reason, entry.on_behalf_of) == ("tara", "Never meant to leave.", alice.id)
    assert entry.case is not None


def test_an_admin_purges_at_once_and_nothing_brings_them_back(alice: Account, app: Doorward) -> None:
    ada = signed_in(app, "ada")
    page = ada.get(f"/admin/deleted/{alice.id}/purge")
    for fields in ({"reason": "", "username": "alice"}, {"reason": "A court says so.", "username": "alic"}):
        assert ada.send(page, fields).status == 422
    assert not purge_is_due()
    assert ada.send(page, {"reason": "A court says so.", "username": "Alice"}).path == "/admin/deleted"
    assert list_deleted(actor_named("ada"))[0].items == []
    assert find_deleted(actor_named("ada"), "alice") is None
    for act in (restore_user, purge_now):
        with pytest.raises(NotFound):
            act(actor_named("ada").because("x"), alice.id, **({"typed_name": "alice"} if act is purge_now else {}))
    assert purge_is_due()
    asked = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "account.purge_asked")).one()
    assert (asked.actor_name, asked.reason, asked.target_id) == ("ada", "A court says so.", alice.id)
    run = run_job("purge_deleted_users", by_hand=True)
    assert run is not None
    assert run.summary == "purged 1"
    with pytest.raises(NotFound):
        acting("tara", alice)  # of whom nothing is left there is no case
    gone = db.session.get(User, alice.id, populate_existing=True)
    assert gone is not None
    assert gone.email is None


def test_of_a_restore_and_a_purge_at_once_one_happens(alice: Account, app: Doorward) -> None:
    ada, alice_id = actor_named("ada").because("x"), alice.id

    def act(number: int) -> str:
        with app.app_context():
            try:
                with transaction():
                    if number:
                        purge_now(ada, alice_id, typed_name="alice")
                    else:
                        restore_user(ada, alice_id)
            except (NotFound, StaleDataError):
                return "late"
            return "purged" if number else "restored"

    for _ in range(3):
        said = sorted(race(2, act))
        assert "late" in said
        assert len(set(said)) == 2, said
        db.session.expire_all()
        user, row = db.session.get_one(User, alice_id), db.session.get(DeletedUser, alice_id)
        if "purged" in said:
            assert (user.state, user.email, row is not None and row.sealed) == ("deleted", None, "")
            return
        assert (user.state, user.email, row) == ("active", EMAIL, None)
        with transaction():
            delete_user(operator_actor().because("again"), alice_id, typed_name="alice")
