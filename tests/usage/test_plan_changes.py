"""Another plan: from when it holds, that no job is needed for that, that it can be taken back, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm.exc import StaleDataError

from portal.accounts.models import User
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.jobs.runner import run_job
from portal.privacy.deletion import delete_user
from portal.usage import plan_changes
from portal.usage.credits import balance_of
from portal.usage.limits import limits_of
from portal.usage.models import CreditEntry, Plan
from portal.usage.plan_changes import begin_due_plans, change_plan, take_back_plan
from portal.usage.plans import PlanTerms, create_plan, plan_named, plan_of
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.moments import stand_at
from tests.people import actor_named, make_account

BERLIN = "Europe/Berlin"


def plan(name: str) -> Plan:
    """A plan by name."""
    found = plan_named(name)
    assert found is not None
    return found


def give(user: User, name: str, starts: str = "now") -> datetime:
    """The operator gives the user a plan; answers from when it holds."""
    with transaction():
        return change_plan(operator_actor(), user.id, plan(name).id, starts=starts).starts_at


def held_by(user: User) -> str:
    """The plan that holds for the user now, read afresh."""
    db.session.expire_all()
    return plan_of(db.session.get_one(User, user.id)).name


def facts_of(event: str) -> list[dict[str, object]]:
    """The facts of each entry of this event, oldest first."""
    query = select(AuditEntry).where(AuditEntry.event == event).order_by(AuditEntry.at, AuditEntry.id)
    return [entry.facts for entry in db.session.scalars(query)]


@pytest.fixture
def alice(app: Doorward) -> User:
    """Alice in Berlin, on the plan free."""
    made = make_account("alice", time_zone=BERLIN)
    assert isinstance(made, User)
    return made


def test_a_plan_given_now_holds_from_the_next_call(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    key, gate = key_of(alice), machine()
    assert gate.post("/keys/verify", {"key": key}).get_json()["user"]["plan"] == "free"
    give(alice, "plus")
    told = gate.post("/keys/verify", {"key": key}).get_json()
    assert (told["user"]["plan"], told["daily"]["limit"], told["daily"]["used"]) == ("plus", 1000, 2)


# (from when, standing at, the instant from which the plan holds)
TURNS = [
    ("next_day", "2026-11-21T10:00:00+01:00", "2026-11-22T00:00:00+01:00"),
    ("next_day", "2026-10-24T23:59:59+02:00", "2026-10-25T00:00:00+02:00"),
    ("next_month", "2026-11-21T10:00:00+01:00", "2026-12-01T00:00:00+01:00"),
    ("next_month", "2026-10-31T23:59:59+01:00", "2026-11-01T00:00:00+01:00"),
    ("next_month", "2026-12-31T23:59:59+01:00", "2027-01-01T00:00:00+01:00"),
]


@pytest.mark.parametrize(("starts", "now", "turn"), TURNS)
def test_a_later_plan_holds_from_its_instant_on_without_any_job(alice: User, starts: str, now: str, turn: str) -> None:
    stand_at(now)
    assert give(alice, "plus", starts).isoformat() == turn
    clock.shift(clock.offset() + (datetime.fromisoformat(turn) - clock.now()) - timedelta(seconds=1))
    assert held_by(alice) == "free"
    clock.shift(clock.offset() + timedelta(seconds=1.5))
    assert held_by(alice) == "plus"


def test_a_running_server_feels_the_later_plan_at_its_instant(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    stand_at("2026-11-21T23:59:50+01:00")
    key, gate = key_of(alice), machine()
    give(alice, "plus", "next_day")
    assert gate.post("/keys/verify", {"key": key}).get_json()["daily"]["limit"] == 100
    clock.shift(clock.offset() + timedelta(seconds=11))
    assert gate.post("/keys/verify", {"key": key}).get_json()["daily"]["limit"] == 1000


def test_the_later_plan_of_a_user_whose_day_is_held_starts_with_that_users_next_day(alice: User) -> None:
    stand_at("2026-11-21T10:00:00+01:00")
    with transaction():
        alice.held_day = datetime.fromisoformat("2026-11-21").date()
        alice.held_until = datetime.fromisoformat("2026-11-22T15:00:00+00:00")
        alice.time_zone = "Asia/Tokyo"
    assert give(alice, "plus", "next_day").isoformat() == "2026-11-23T00:00:00+09:00"


def test_the_entry_says_from_when(alice: User) -> None:
    stand_at("2026-11-21T10:00:00+01:00")
    give(alice, "plus", "next_month")
    (facts,) = facts_of("account.plan_changed")
    assert facts == {"from": "free", "to": "plus", "starts_at": "2026-12-01T00:00:00+01:00"}


def test_a_coming_plan_can_be_taken_back_until_it_holds(alice: User) -> None:
    stand_at("2026-11-21T10:00:00+01:00")
    give(alice, "plus", "next_day")
    with transaction():
        take_back_plan(operator_actor(), alice.id)
    clock.shift(clock.offset() + timedelta(days=1))
    assert held_by(alice) == "free"
    assert facts_of("account.plan_taken_back") == [{"plan": "plus", "starts_at": "2026-11-22T00:00:00+01:00"}]
    with pytest.raises(Conflict):
        take_back_plan(operator_actor(), alice.id)
    give(alice, "plus", "next_day")
    clock.shift(clock.offset() + timedelta(days=1))
    with pytest.raises(Conflict):
        take_back_plan(operator_actor(), alice.id)


def test_choosing_the_present_plan_takes_a_coming_one_back(alice: User) -> None:
    give(alice, "plus", "next_day")
    give(alice, "free")
    assert limits_of(operator_actor(), alice.id).coming is None
    give(alice, "free", "next_month")
    assert len(facts_of("account.plan_changed")) == 1


def test_a_later_change_takes_the_place_of_the_one_to_come(alice: User) -> None:
    with transaction():
        create_plan(operator_actor(), PlanTerms("team", 7))
    give(alice, "plus", "next_month")
    give(alice, "team", "next_day")
    clock.shift(timedelta(days=40))
    assert held_by(alice) == "team"
    give(alice, "plus", "next_day")
    assert db.session.get_one(User, alice.id).plan_id == plan("team").id


def test_a_plan_given_now_drops_the_one_to_come(alice: User) -> None:
    with transaction():
        create_plan(operator_actor(), PlanTerms("team", 7))
    give(alice, "team", "next_day")
    give(alice, "plus")
    clock.shift(timedelta(days=40))
    assert held_by(alice) == "plus"


def test_a_plan_that_has_begun_is_folded_once_and_the_job_says_so(alice: User) -> None:
    stand_at("2026-11-21T10:00:00+01:00")
    give(alice, "plus", "next_day")
    assert begin_due_plans() == 0
    clock.shift(clock.offset() + timedelta(days=1))
    summaries = [run.summary for run in (run_job("begin_plans", by_hand=True) for _ in range(2)) if run]
    assert summaries == ["began 1", "began 0"]
    user = db.session.get_one(User, alice.id, populate_existing=True)
    assert (user.plan_id, user.next_plan_id, user.next_plan_from) == (plan("plus").id, None, None)
    assert facts_of("account.plan_begun") == [{"from": "free", "to": "plus", "starts_at": "2026-11-21T23:00:00+00:00"}]
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "account.plan_begun")).one()
    assert (entry.actor_kind, entry.actor_name) == ("job", "begin_plans")


def test_more_than_a_batch_of_plans_begins(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_changes, "BATCH", 2)
    columns = {"next_plan_id": plan("plus").id, "next_plan_from": clock.now() - timedelta(minutes=1)}
    users = [make_account(f"user{number}", **columns) for number in range(5)]
    assert begin_due_plans() == 5
    assert {user.plan_id for user in users} == {plan("plus").id}


def test_a_plan_taken_back_or_an_account_changed_meanwhile_is_left_for_the_next_round(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(alice, "plus", "next_day")
    assert not plan_changes._begin_plan(alice.id)
    clock.shift(timedelta(days=2))

    def changed_meanwhile(*_: object) -> None:
        raise StaleDataError

    with monkeypatch.context() as patched:
        patched.setattr(plan_changes, "turn_month", changed_meanwhile)
        assert begin_due_plans() == 0
    assert begin_due_plans() == 1
    with transaction():
        db.session.execute(update(User).values(next_plan_id=None, next_plan_from=None))
    assert not plan_changes._begin_plan(alice.id)


@pytest.mark.parametrize("wrong", ["", "later", "NOW", "2026-12-01"])
def test_an_unknown_start_is_refused(alice: User, wrong: str) -> None:
    with pytest.raises(Invalid) as refused, transaction():
        change_plan(operator_actor(), alice.id, plan("plus").id, starts=wrong)
    assert list(refused.value.fields) == ["starts"]
    assert held_by(alice) == "free"


def test_a_user_gets_only_plans_that_exist(alice: User) -> None:
    with pytest.raises(Invalid), transaction():
        change_plan(operator_actor(), alice.id, new_id())
    with pytest.raises(NotFound), transaction():
        change_plan(operator_actor(), new_id(), plan("plus").id)


def test_only_living_users_get_plans_and_only_from_those_above_them(alice: User) -> None:
    tess = make_account("tess")
    with pytest.raises(NotFound):
        change_plan(operator_actor(), tess.id, plan("plus").id)
    equal = actor_named("alice")
    weak = type(equal)(equal.kind, "weak", capabilities=operator_actor().capabilities, rank=equal.rank)
    with pytest.raises(Forbidden):
        change_plan(weak, alice.id, plan("plus").id)
    with transaction():
        delete_user(operator_actor().because("gone"), alice.id, typed_name="alice")
    with pytest.raises(NotFound):
        change_plan(operator_actor(), alice.id, plan("plus").id)
    with pytest.raises(NotFound):
        limits_of(operator_actor(), alice.id)


def test_a_plan_with_more_credits_adds_the_difference_and_one_with_fewer_takes_none(alice: User) -> None:
    stand_at("2026-11-21T10:00:00+01:00")
    with transaction():
        for name, credits in (("small", 100), ("large", 1000)):
            create_plan(operator_actor(), PlanTerms(name, None, credits))
    give(alice, "small")
    give(alice, "large")
    give(alice, "small")
    amounts = list(db.session.scalars(select(CreditEntry.amount).order_by(CreditEntry.created_at, CreditEntry.id)))
    assert amounts == [100, 900]
    assert balance_of(operator_actor(), alice.id).total == 1000
    stand_at("2026-12-01T10:00:00+01:00")
    assert balance_of(operator_actor(), alice.id).total == 100


def test_a_month_nobody_used_yet_is_still_the_earlier_plans_to_give(alice: User) -> None:
    with transaction():
        for name, credits in (("small", 100), ("large", 1000)):
            create_plan(operator_actor(), PlanTerms(name, None, credits))
    with transaction():
        alice.plan_id = plan("large").id
    give(alice, "small")
    assert balance_of(operator_actor(), alice.id).total == 1000


def test_a_change_whose_entry_cannot_be_written_leaves_nothing(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    with transaction():
        large = create_plan(operator_actor(), PlanTerms("large", None, 1000))
    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(plan_changes, "target_of", fail)
        give(alice, large.name)
    assert held_by(alice) == "free"
    assert db.session.scalars(select(CreditEntry)).all() == []
