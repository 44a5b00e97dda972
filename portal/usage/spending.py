"""Spending: conversations from the daily limit and credits from the balance, both or neither."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from portal.accounts.days import Calendar, resets_at, usage_day
from portal.core import clock, database
from portal.core import settings as current_settings
from portal.core.ids import new_id
from portal.usage import statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portal.core.actor import Actor

NO_KEY = UUID(int=0)
_one_writer = threading.Lock()


@dataclass(frozen=True, slots=True)
class Cost:
    """What is asked for, in whole units from 0 to 1,000,000."""

    conversations: int
    credits: int


@dataclass(frozen=True, slots=True)
class Budget:
    """Whose budget it is, and what holds for it now. `daily_limit` None means unlimited."""

    user_id: UUID
    daily_limit: int | None
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class Standing:
    """How a user stands: today's use, the limit, when it resets (local), and credits left."""

    used: int
    limit: int | None
    resets_at: datetime
    time_zone: str
    credits: int

    @property
    def remaining(self) -> int | None:
        """Conversations left today; None when unlimited."""
        return None if self.limit is None else max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True)
class Spent:
    """What came of it. `refused` is None, DAILY_LIMIT_REACHED or CREDITS_EXHAUSTED."""

    refused: str | None
    standing: Standing
    decision_id: UUID


def spend(actor: Actor, budget: Budget, cost: Cost, *, key_id: UUID = NO_KEY, model: str = "") -> Spent:
    """Spend both parts of the cost or nothing, and commit. Called by the verbs that checked who asks.

    A zero cost only looks.
    """
    now = clock.now()
    day = usage_day(budget.calendar, now)
    decision_id = new_id()
    with database.hot_connection() as connection:
        run = _runner(connection, budget.user_id, day)
        if not cost.conversations and not cost.credits:
            used, credits = _read(run)
            return Spent(None, _standing(budget, now, used, credits), decision_id)
        if budget.daily_limit is not None and cost.conversations > budget.daily_limit:
            used, credits = _read(run)
            return Spent("DAILY_LIMIT_REACHED", _standing(budget, now, used, credits), decision_id)
        refused = None
        with _writing(connection):
            taken = _spend_day(run, day, budget, cost)
            if taken is None:
                refused = "DAILY_LIMIT_REACHED"
            elif cost.credits and not _spend_credits(run, actor, cost, decision_id, now):
                refused = "CREDITS_EXHAUSTED"
            if refused:
                connection.rollback()
            else:
                run(
                    "NOTE_DETAIL",
                    key_id=database.raw_id(key_id),
                    model=model,
                    units=cost.conversations,
                    credits=cost.credits,
                )
                connection.commit()
        used, credits = _read(run)
        used = used if refused or taken is None or not cost.conversations else taken
    return Spent(refused, _standing(budget, now, used, credits), decision_id)


def standing_of(budget: Budget) -> Standing:
    """How the user stands now, without spending."""
    now = clock.now()
    run = _runner(database.raw_connection(), budget.user_id, usage_day(budget.calendar, now))
    used, credits = _read(run)
    return _standing(budget, now, used, credits)


@contextmanager
def _writing(connection: Any) -> Iterator[None]:
    """Inside a writing transaction; on SQLite one thread of the process at a time, for waiting in line
    costs less than polling the file's lock."""
    if current_settings.current().sqlite:
        with _one_writer:
            database.begin(connection)
            yield
    else:
        database.begin(connection)
        yield


def _runner(connection: Any, user_id: UUID, day: date) -> Any:
    texts = statements.SQLITE if current_settings.current().sqlite else statements.POSTGRES
    fixed = {"user_id": database.raw_id(user_id), "day": database.raw_day(day)}

    def run(name: str, **values: Any) -> Any:
        cursor = connection.execute(texts[name], {**fixed, **values})
        return cursor.fetchone() if cursor.description else None

    return run


def _spend_day(run: Any, day: date, budget: Budget, cost: Cost) -> int | None:
    """The day's counter after spending, or None when the limit forbids it."""
    if not cost.conversations:
        return 0
    most = -1 if budget.daily_limit is None else budget.daily_limit
    row = run("SPEND_DAY", units=cost.conversations, most=most)
    if row is None:
        return None
    used, closed_at = row
    if closed_at is not None:
        run("FOLD_LATE", month=database.raw_day(day.replace(day=1)), units=cost.conversations)
    return int(used)


def _spend_credits(run: Any, actor: Actor, cost: Cost, decision_id: UUID, now: datetime) -> bool:
    row = run("SPEND_CREDITS", credits=cost.credits)
    if row is None:
        return False
    run(
        "NOTE_CREDITS",
        id=database.raw_id(new_id()),
        amount=-cost.credits,
        balance=int(row[0]),
        actor_kind=actor.kind.value,
        actor_name=actor.name[:80],
        decision_id=database.raw_id(decision_id),
        at=database.raw_instant(now),
    )
    return True


def _read(run: Any) -> tuple[int, int]:
    used, credits = run("READ_DAY"), run("READ_CREDITS")
    return (int(used[0]) if used else 0), (int(credits[0]) if credits else 0)


def _standing(budget: Budget, now: datetime, used: int, credits: int) -> Standing:
    return Standing(used, budget.daily_limit, resets_at(budget.calendar, now), budget.calendar.zone, credits)
