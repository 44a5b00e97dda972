"""The month of a user: when the next begins, and the job that turns balances into it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from portal.accounts.days import Calendar, day_held_after_move, month_of, usage_day
from portal.accounts.models import User
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.jobs.runner import run_job
from portal.usage import months
from portal.usage.credits import balance_of, find_drift, grant_credits, list_ledger
from portal.usage.models import CreditBalance, CreditEntry, Plan
from portal.usage.months import next_month_at, turn_months
from portal.usage.plans import PlanTerms, create_plan
from portal.web.frame import Doorward
from tests.accounts.test_days import INSTANTS, ZONES
from tests.conftest import Machine
from tests.moments import stand_at
from tests.people import make_account

MOMENT = timedelta(microseconds=1)


@settings(max_examples=200, deadline=None, database=None)
@given(ZONES, ZONES, INSTANTS, st.integers(0, 100_000))
def test_the_next_month_begins_once_and_with_a_reset(old: str, new: str, now: datetime, later: int) -> None:
    calendar = Calendar(new, *(day_held_after_move(Calendar(old), new, now) or (None, None)))
    instant = now + timedelta(seconds=later)
    turn = next_month_at(calendar, instant)
    assert turn > instant
    assert month_of(usage_day(calendar, turn)) > month_of(usage_day(calendar, instant))
    before = turn.astimezone(UTC) - MOMENT
    assert month_of(usage_day(calendar, before)) == month_of(usage_day(calendar, instant))
    assert turn - instant < timedelta(days=34)


@pytest.mark.parametrize(
    ("zone", "now", "turn"),
    [
        ("Pacific/Kiritimati", "2026-11-30T09:59:59+00:00", "2026-12-01T00:00:00+14:00"),
        ("Pacific/Kiritimati", "2026-11-30T10:00:00+00:00", "2027-01-01T00:00:00+14:00"),
        ("Pacific/Niue", "2026-12-01T10:59:59+00:00", "2026-12-01T00:00:00-11:00"),
        ("America/Havana", "2026-10-31T12:00:00-04:00", "2026-11-01T00:00:00-04:00"),
        ("America/Asuncion", "2026-02-27T12:00:00+00:00", "2026-03-01T00:00:00-03:00"),
    ],
)
def test_the_next_month_begins_at_the_users_own_midnight(zone: str, now: str, turn: str) -> None:
    assert next_month_at(Calendar(zone), datetime.fromisoformat(now)).isoformat() == turn


@pytest.fixture
def monthly(app: Doorward) -> Plan:
    """A plan with 100 credits a month."""
    with transaction():
        return create_plan(operator_actor(), PlanTerms("monthly", None, 100))


def entries_of(user: User) -> list[tuple[str, int, int]]:
    """(kind, amount, balance) of each ledger entry, oldest first; of one turn what expires comes before the grant."""
    query = select(CreditEntry).where(CreditEntry.user_id == user.id)
    rows = sorted(db.session.scalars(query), key=lambda row: (row.created_at, row.kind != "expire", row.balance))
    return [(row.kind, row.amount, row.balance) for row in rows]


def user_on(plan: Plan | None, name: str, zone: str = "UTC") -> User:
    """A user with this plan, in this zone."""
    given = {"plan_id": plan.id} if plan else {}
    user = make_account(name, time_zone=zone, **given)
    assert isinstance(user, User)
    return user


def test_the_job_gives_the_month_once_and_lets_the_rest_of_the_last_expire(monthly: Plan) -> None:
    stand_at("2026-11-21T10:00:00+00:00")
    alice = user_on(monthly, "alice")
    with transaction():
        grant_credits(operator_actor().because("a gift"), alice.id, 7)
    assert turn_months() == 0  # the grant has turned it
    stand_at("2026-12-01T00:00:01+00:00")
    assert [turn_months(), turn_months()] == [1, 0]
    assert entries_of(alice) == [("grant", 100, 100), ("grant", 7, 107), ("expire", -100, 7), ("grant", 100, 107)]
    assert balance_of(operator_actor(), alice.id).total == 107
    assert find_drift().count == 0


def test_the_ledger_lists_the_entries_of_one_turn_in_the_order_in_which_they_were_made(monthly: Plan) -> None:
    stand_at("2026-11-21T10:00:00+00:00")
    people = [user_on(monthly, f"user{number}") for number in range(12)]
    turn_months()
    stand_at("2026-12-01T00:00:01+00:00")
    turn_months()
    for user in people:
        page = list_ledger(operator_actor(), user.id)
        assert [row.kind for row in page.items] == ["grant", "expire", "grant"]


def test_each_user_is_turned_in_the_own_zone(monthly: Plan) -> None:
    stand_at("2026-11-20T00:00:00+00:00")
    zones = ("Pacific/Kiritimati", "UTC", "Pacific/Niue")
    users = {zone: user_on(monthly, f"user{number}", zone) for number, zone in enumerate(zones)}
    assert turn_months() == 3
    turned = []
    for moment in ("2026-11-30T10:00:00+00:00", "2026-12-01T00:00:00+00:00", "2026-12-01T11:00:00+00:00"):
        stand_at(moment)
        turn_months()
        turned.append([zone for zone, user in users.items() if len(entries_of(user)) == 3])
    assert turned == [list(zones[:1]), list(zones[:2]), list(zones)]


def test_months_that_nobody_turned_are_not_given_afterwards(monthly: Plan) -> None:
    stand_at("2026-06-10T00:00:00+00:00")
    alice = user_on(monthly, "alice")
    turn_months()
    stand_at("2026-12-05T00:00:00+00:00")
    turn_months()
    assert entries_of(alice) == [("grant", 100, 100), ("expire", -100, 0), ("grant", 100, 100)]


def test_balances_with_nothing_to_turn_wait_for_their_first_use(monthly: Plan) -> None:
    user_on(None, "bob")
    gone = user_on(monthly, "gone")
    with transaction():
        gone.state = "deleted"
    assert turn_months() == 0
    assert db.session.scalar(select(func.count()).select_from(CreditEntry)) == 0


def test_a_coming_plan_with_credits_is_given_with_its_month(monthly: Plan) -> None:
    now = stand_at("2026-11-30T10:00:00+00:00")
    alice = user_on(None, "alice")
    with transaction():
        alice.next_plan_id, alice.next_plan_from = monthly.id, now + timedelta(hours=14)
    stand_at("2026-12-01T00:00:01+00:00")
    assert turn_months() == 1
    assert entries_of(alice) == [("grant", 100, 100)]


def test_however_many_there_are_each_is_turned_once_by_the_job(monthly: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(months, "BATCH", 3)
    monkeypatch.setattr(months, "PART", 2)
    for number in range(8):
        user_on(monthly, f"user{number}")
    summaries = [run.summary for run in (run_job("turn_months", by_hand=True) for _ in range(2)) if run]
    assert summaries == ["turned 8", "turned 0"]
    assert db.session.scalar(select(func.sum(CreditBalance.plan_credits))) == 800
    assert find_drift().count == 0


def test_a_round_is_bounded(monthly: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(months, "BATCH", 2)
    for number in range(4):
        user_on(monthly, f"user{number}")
    assert turn_months(most=2) == 2
    assert turn_months() == 2
    assert clock.offset() == timedelta(0)


def test_plan_credits_of_a_month_that_is_over_do_not_come_back(monthly: Plan, machine: Callable[..., Machine]) -> None:
    stand_at("2026-11-21T10:00:00+00:00")
    alice, gate = user_on(monthly, "alice"), machine("usage:consume")
    spent = gate.post("/usage/consume", {"username": "alice", "cost": {"conversations": 0, "credits": 5}})
    decision = spent.get_json()["decision_id"]
    stand_at("2026-12-01T00:00:01+00:00")
    back = gate.post("/usage/refund", {"decision_id": decision, "reason": "it failed"})
    assert back.get_json()["refunded"] == {"conversations": 0, "credits": 0}
    assert sorted(kind for kind, _, _ in entries_of(alice)) == ["expire", "grant", "grant", "spend"]
    assert balance_of(operator_actor(), alice.id).total == 100
