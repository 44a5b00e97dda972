"""A clock that jumps, jobs that do not run, people who move: no day and no month is won twice, none is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from portal.accounts.lifecycle import edit_user
from portal.accounts.models import User
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.usage.models import CreditBalance, CreditEntry, UsageDay, UsageMonth
from portal.usage.months import turn_months
from portal.usage.plans import PlanTerms, create_plan
from portal.usage.reset import close_finished_days
from tests.conftest import Machine
from tests.moments import stand_at
from tests.people import make_account

BOSS = operator_actor().because("a test")
DAY = timedelta(days=1)
# Every offset there is, both sides of the date line, half and three-quarter hours, and where midnight is skipped.
ZONES = (
    "Pacific/Niue", "America/Adak", "America/St_Johns", "America/Santiago", "America/Havana", "Atlantic/Azores", "UTC",
    "Europe/Berlin", "Africa/Cairo", "Asia/Beirut", "Asia/Tehran", "Asia/Kathmandu", "Australia/Eucla",
    "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Apia", "Pacific/Kiritimati",
)  # fmt: skip
Ask = Callable[..., tuple[str, int, int]]


@pytest.fixture
def alice(app: object) -> User:
    """Alice in Berlin, three conversations a day, at noon."""
    stand_at("2026-12-10T12:00:00+01:00")
    made = make_account("alice", time_zone="Europe/Berlin", daily_limit_override=3)
    assert isinstance(made, User)
    return made


@pytest.fixture
def ask(machine: Callable[..., Machine]) -> Ask:
    """Spend for a user: the code, what is used today, the credits left."""
    gate = machine("usage:consume")

    def call(user: User, units: int = 1, credits: int = 0) -> tuple[str, int, int]:
        cost = {"conversations": units, "credits": credits}
        answer = gate.post("/usage/consume", {"user_id": str(user.id), "cost": cost})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.get_json()
        return body["code"], body["daily"]["used"], body["credits"]["remaining"]

    return call


def days() -> dict[str, int]:
    """What stands for each day."""
    db.session.expire_all()
    return {str(row.day): row.used for row in db.session.scalars(select(UsageDay).order_by(UsageDay.day))}


def move(user: User, zone: str) -> None:
    """The operator puts a user into another zone."""
    with transaction():
        stored = db.session.get_one(User, user.id, populate_existing=True)
        edit_user(
            BOSS, user.id, version=stored.version, display_name=stored.display_name, email=stored.email or "",
            time_zone=zone, daily_limit_override=stored.daily_limit_override,
        )  # fmt: skip


@pytest.mark.parametrize("jump", [2 * DAY, -DAY, -timedelta(hours=1)], ids=str)
def test_a_clock_that_jumps_and_comes_back_wins_nothing(alice: User, ask: Ask, jump: timedelta) -> None:
    assert ask(alice, 3)[:2] == ("VALID", 3)
    there = clock.offset() + jump
    clock.shift(there)
    same_day = jump > -timedelta(hours=2) and jump < DAY
    assert ask(alice, 3)[:2] == (("DAILY_LIMIT_REACHED", 3) if same_day else ("VALID", 3))
    with transaction():
        close_finished_days()
    clock.shift(there - jump)
    for _ in range(2):
        assert ask(alice)[:2] == ("DAILY_LIMIT_REACHED", 3)
        clock.shift(there)
        assert ask(alice)[:2] == ("DAILY_LIMIT_REACHED", 3)
        clock.shift(there - jump)
    assert set(days().values()) == {3}
    clock.shift(there - jump + 3 * DAY)
    assert ask(alice)[:2] == ("VALID", 1)
    close_finished_days()
    assert close_finished_days() == 0
    closed = select(func.sum(UsageDay.used)).where(UsageDay.closed_at.is_not(None))
    assert db.session.scalar(select(func.sum(UsageMonth.used))) == db.session.scalar(closed)


def test_moving_at_a_minute_to_midnight_there_and_back_wins_no_second_day(alice: User, ask: Ask) -> None:
    stand_at("2026-12-10T23:59:00+01:00")
    assert ask(alice, 3)[0] == "VALID"
    for zone in ("Pacific/Kiritimati", "Europe/Berlin"):
        move(alice, zone)
        assert (zone, ask(alice)[0]) == (zone, "DAILY_LIMIT_REACHED")
    won = []
    for hours in range(1, 74):
        clock.shift(clock.offset() + timedelta(hours=1))
        if ask(alice, 3)[0] == "VALID":
            won.append(hours)
    # The midnight of the first move passes by; from the next one on all is as it was.
    assert won == [25, 49, 73]


def test_without_any_job_each_day_begins_anew_and_is_closed_once_at_last(alice: User, ask: Ask) -> None:
    for day in range(4):
        stand_at(f"2026-12-{28 + day}T23:59:58+01:00")
        assert (day, ask(alice, 3)[:2]) == (day, ("VALID", 3))
        clock.shift(clock.offset() + timedelta(hours=9))
    assert ask(alice, 1)[:2] == ("VALID", 1)
    assert (close_finished_days(), close_finished_days()) == (4, 0)
    months = {str(row.month): row.used for row in db.session.scalars(select(UsageMonth))}
    assert months == {"2026-12-01": 12}
    assert ask(alice, 2)[:2] == ("VALID", 3)


def test_two_schedulers_close_a_day_once(alice: User, ask: Ask) -> None:
    ask(alice, 2)
    clock.shift(clock.offset() + DAY)
    assert sorted([close_finished_days(), close_finished_days()]) == [0, 1]
    assert db.session.scalars(select(UsageMonth.used)).all() == [2]


def test_what_is_spent_on_a_day_that_was_closed_reaches_its_month(alice: User, ask: Ask) -> None:
    assert ask(alice, 1)[0] == "VALID"
    there = clock.offset()
    clock.shift(there + DAY)
    assert close_finished_days() == 1
    clock.shift(there)
    assert ask(alice, 1)[:2] == ("VALID", 2)
    assert db.session.scalars(select(UsageMonth.used)).all() == [2]


# ---- The month ----------------------------------------------------------------------------------------------------


def granted(user: User) -> Counter[str]:
    """Credits by kind of entry, which must add up to the balance."""
    db.session.expire_all()
    entries = db.session.scalars(select(CreditEntry).where(CreditEntry.user_id == user.id)).all()
    balance = db.session.get_one(CreditBalance, user.id)
    assert sum(entry.amount for entry in entries) == balance.plan_credits + balance.own_credits
    kinds: Counter[str] = Counter()
    for entry in entries:
        kinds[entry.kind] += entry.amount
    return kinds


@pytest.mark.parametrize("by_job", [False, True])
def test_the_month_turns_once_at_the_users_own_midnight_in_every_zone(app: object, ask: Ask, by_job: bool) -> None:
    stand_at("2026-11-15T12:00:00+00:00")
    with transaction():
        plan = create_plan(BOSS, PlanTerms("granting", 100, credits_per_month=10))
    for place, zone in enumerate(ZONES):
        turn = datetime(2026, 12, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        stand_at((turn - timedelta(seconds=30)).isoformat())
        user = make_account(f"u-{place}", time_zone=zone, plan_id=plan.id)
        assert isinstance(user, User)
        assert (zone, ask(user, 1, 3)[2]) == (zone, 7)
        if by_job:
            turn_months()
        assert (zone, ask(user, 0, 0)[2]) == (zone, 7)
        stand_at((turn + timedelta(seconds=1)).isoformat())
        if by_job:
            turn_months()
        assert (zone, ask(user, 0, 0)[2]) == (zone, 10)
        assert (zone, ask(user, 1, 4)[2]) == (zone, 6)
        for step in (-timedelta(hours=1), timedelta(hours=2), -timedelta(days=1), timedelta(days=1)):
            clock.shift(clock.offset() + step)
            turn_months()
            assert (zone, ask(user, 0, 0)[2]) == (zone, 6)
        assert granted(user) == Counter(grant=20, spend=-7, expire=-7)
