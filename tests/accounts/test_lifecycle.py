"""Who may do what to whom, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from portal.accounts.lifecycle import (
    change_level,
    change_permissions,
    checked_permissions,
    edit_user,
    reactivate,
    suspend,
)
from portal.accounts.models import Account, Admin, StaffMember, State, User
from portal.audit.models import AuditEntry
from portal.core import access, clock
from portal.core.actor import Actor
from portal.core.database import db, transaction
from portal.core.errors import CaseNeeded, Conflict, Forbidden, Invalid, NotFound, PortalError, ReauthNeeded
from portal.core.ids import new_id
from portal.signin.reset import start_reset
from portal.web.frame import Doorward
from tests.people import actor_named, make_account
from tests.races import race

# Who may suspend whom: rank and the permission for that kind, both.
ACTORS = {
    "alice": None,
    "tara": None,
    "max": [],
    "usermin": ["users.write"],
    "staffmin": ["staff.manage"],
    "adminmin": ["admins.manage"],
    "ada": sorted(access.PERMISSIONS),
}
TARGETS = ("bob", "theo", "lowmin", "fulla")
MAY_SUSPEND = {
    "alice": "",
    "tara": "",
    "max": "",
    "usermin": "bob",
    "staffmin": "theo",
    "adminmin": "",
    "ada": "bob theo lowmin fulla",
}


def everybody() -> dict[str, Account]:
    people = {name: make_account(name) for name in ("alice", "tara", "max", "ada", "bob", "theo")}
    for name in ("usermin", "staffmin", "adminmin"):
        people[name] = make_account(name, permissions=ACTORS[name])
    people["lowmin"] = make_account("lowmin", permissions=["plans.write"])
    people["fulla"] = make_account("fulla", permissions=sorted(access.PERMISSIONS))
    return people


def state_of(account: Account) -> str:
    db.session.expire_all()
    return db.session.get_one(Account, account.id).state


@pytest.mark.parametrize("name", ACTORS)
def test_rank_and_permission_decide_who_suspends_whom(app: Doorward, name: str) -> None:
    people = everybody()
    for target in TARGETS:
        try:
            with transaction():
                suspend(actor_named(name).because("spam"), people[target].id)
        except (Forbidden, CaseNeeded):
            pass
        suspended = state_of(people[target]) == State.SUSPENDED
        assert suspended is (target in MAY_SUSPEND[name].split()), target


@pytest.mark.parametrize("name", ACTORS)
def test_rank_and_permission_decide_who_starts_whose_reset(app: Doorward, name: str) -> None:
    people = everybody()
    for target in TARGETS:
        try:
            with transaction():
                link = start_reset(actor_named(name).because("asked"), people[target].id)
        except (Forbidden, CaseNeeded):
            link = None
        assert bool(link) is (target in MAY_SUSPEND[name].split()), target


def test_nobody_acts_on_themself(app: Doorward) -> None:
    everybody()
    ada = actor_named("ada")
    assert ada.id is not None
    with pytest.raises(Forbidden, match="own account"):
        suspend(ada.because("tired"), ada.id)
    with pytest.raises(Forbidden, match="own account"):
        change_permissions(ada, ada.id, [])


def test_suspending_wants_a_reason_and_an_active_account(app: Doorward) -> None:
    people = everybody()
    ada = actor_named("ada")
    with pytest.raises(Invalid) as told:
        suspend(ada, people["bob"].id)
    assert list(told.value.fields) == ["reason"]
    with transaction():
        suspend(ada.because("spam"), people["bob"].id)
    with pytest.raises(Conflict):
        suspend(ada.because("spam"), people["bob"].id)
    with pytest.raises(NotFound):
        suspend(ada.because("spam"), new_id())


def test_whoever_is_closing_the_account_is_suspended_all_the_same(app: Doorward) -> None:
    bob = everybody()["bob"]
    with transaction():
        user = db.session.get_one(User, bob.id)
        user.state, user.closes_at = State.CLOSING.value, clock.now() + timedelta(days=14)
    with transaction():
        suspend(actor_named("ada").because("spam"), bob.id)
    assert (state_of(bob), db.session.get_one(User, bob.id).closes_at) == (State.SUSPENDED, None)
    (entry,) = db.session.scalars(select(AuditEntry))
    assert entry.facts == {"from": "closing", "to": "suspended"}


def stale(name: str) -> Actor:
    """The person as an actor who has not shown for a while who they are."""
    return msgspec.structs.replace(actor_named(name), proven_at=clock.now() - timedelta(minutes=11))


def test_another_address_or_a_reset_that_is_shown_wants_a_fresh_proof(app: Doorward) -> None:
    bob = everybody()["bob"]
    same: Any = {"display_name": "Bobby", "time_zone": "UTC", "daily_limit_override": None}
    with pytest.raises(ReauthNeeded), transaction():
        edit_user(stale("ada"), bob.id, version=bob.version, email="mine@example.org", **same)
    with pytest.raises(ReauthNeeded), transaction():  # no mail leaves here, so the link is shown
        start_reset(stale("ada").because("asked"), bob.id)
    with transaction():
        assert edit_user(stale("ada"), bob.id, version=bob.version, email="bob@example.org", **same) is not None


def test_suspending_and_reactivating_raise_the_epoch_once_and_leave_a_record(app: Doorward) -> None:
    people = everybody()
    ada, bob = actor_named("ada"), people["bob"]
    before = bob.epoch
    with transaction():
        suspend(ada.because("spam"), bob.id)
    with pytest.raises(Invalid), transaction():
        reactivate(ada, bob.id)
    with transaction():
        reactivate(ada.because("no spam"), bob.id)
    assert state_of(bob) == State.ACTIVE
    assert db.session.get_one(Account, bob.id).epoch == before + 1
    entries = db.session.scalars(select(AuditEntry).order_by(AuditEntry.at)).all()
    assert [(one.event, one.reason) for one in entries] == [
        ("account.suspended", "spam"),
        ("account.reactivated", "no spam"),
    ]
    with pytest.raises(Conflict):
        reactivate(ada.because("twice"), bob.id)


def test_a_level_is_one_of_three_and_felt_at_once(app: Doorward) -> None:
    theo = everybody()["theo"]
    with transaction():
        change_level(actor_named("staffmin"), theo.id, 3)
    assert actor_named("theo").capabilities == access.of_level(3)
    for level in (0, 4, -1):
        with pytest.raises(Invalid):
            change_level(actor_named("staffmin"), theo.id, level)
    for name in ("alice", "tara", "usermin", "adminmin"):
        with pytest.raises(Forbidden):
            change_level(actor_named(name), theo.id, 1)
    assert db.session.get_one(StaffMember, theo.id).level == 3


def test_nobody_grants_what_they_lack(app: Doorward) -> None:
    people = everybody()
    boss = make_account("boss", permissions=sorted(set(access.PERMISSIONS) - {"logs.content"}))
    assert boss.rank == access.RANK_ADMIN
    for wanted in (["logs.content"], ["plans.write", "logs.content"]):
        with pytest.raises(Forbidden):
            change_permissions(actor_named("boss"), people["lowmin"].id, wanted)
        with pytest.raises(Forbidden):
            change_permissions(actor_named("adminmin"), people["lowmin"].id, wanted)
    for wanted in (["logs.content"], ["plans.write", "logs.content"]):
        with pytest.raises(Forbidden, match="cannot grant what you do not hold"):
            checked_permissions(actor_named("boss"), wanted)
    assert checked_permissions(actor_named("boss"), ["users.read", "plans.write"]) == ["plans.write", "users.read"]
    with pytest.raises(Invalid):
        change_permissions(actor_named("ada"), people["lowmin"].id, ["root"])
    with transaction():
        change_permissions(actor_named("ada"), people["lowmin"].id, ["logs.content"])
    assert db.session.get_one(Admin, people["lowmin"].id).permissions == ["logs.content"]


@pytest.mark.parametrize("act", ["demote", "suspend"])
def test_the_last_full_admin_stays(app: Doorward, act: str) -> None:
    people = everybody()

    def remove(name: str) -> None:
        with transaction():
            if act == "demote":
                change_permissions(access.operator_actor(), people[name].id, [])
            else:
                suspend(access.operator_actor().because("left"), people[name].id)

    remove("fulla")
    with pytest.raises(Conflict, match="last full admin"):
        remove("ada")
    db.session.expire_all()
    assert db.session.get_one(Admin, people["ada"].id).is_full
    assert state_of(people["ada"]) == State.ACTIVE


def test_two_full_admins_who_remove_each_other_at_once_leave_one(app: Doorward) -> None:
    people = everybody()
    pairs = (("ada", "fulla"), ("fulla", "ada"))
    actors = {name: actor_named(name) for name in ("ada", "fulla")}

    def remove(number: int, *, by_suspending: bool) -> str:
        by, whom = pairs[number]
        with app.app_context():
            try:
                with transaction():
                    if by_suspending:
                        suspend(actors[by].because("left"), people[whom].id)
                    else:
                        change_permissions(actors[by], people[whom].id, [])
            except PortalError as error:
                return error.code
            return "done"

    for suspending in ((False, False), (True, True), (False, True), (True, False), (False, False)):
        answers = race(2, lambda number, how=suspending: remove(number, by_suspending=how[number]))  # type: ignore[misc]  # its default binds the round
        assert sorted(answers) == ["CONFLICT", "done"]
        db.session.expire_all()
        admins = [db.session.get_one(Admin, people[name].id) for name in actors]
        assert len([one for one in admins if one.is_full and one.state == State.ACTIVE]) == 1
        with transaction():
            for one in admins:
                one.permissions, one.state = sorted(access.PERMISSIONS), State.ACTIVE.value


@pytest.mark.parametrize("verb", [suspend, reactivate, start_reset])
def test_a_deleted_user_is_not_there(app: Doorward, verb: Callable[..., object]) -> None:
    make_account("ada")
    gone = make_account("gone", state=State.DELETED.value)
    clock.shift(timedelta(minutes=1))
    with pytest.raises(NotFound):
        verb(actor_named("ada").because("x"), gone.id)
