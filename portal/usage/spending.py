"""Spending: conversations from the daily limit and credits from the balance, both or neither.

Called by the verbs that checked who asks. Every condition is tested under its lock before anything is written, so a
refusal leaves nothing to undo.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from portal.accounts.days import month_of, resets_at, usage_day
from portal.core import clock, database, hot, settings
from portal.core.database import proved_on, raw_day, raw_id, raw_instant
from portal.usage import statements
from portal.usage.ledger import Balance, as_turned, balance_of_row, balance_of_text, by, lock_balance, runner, take

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from portal.core.actor import Actor
    from portal.usage.budget import Budget
    from portal.usage.ledger import Run

NO_KEY = UUID(int=0)
MARKS = (80, 100)


class Stale(Exception):
    """The budget or key was changed since it was read: read it again and ask again."""


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What is asked for, in whole units from 0 to 1,000,000."""

    conversations: int
    credits: int


class SpendingKey(msgspec.Struct, frozen=True, gc=False):
    """What spending must know of a key: its version as read, and its own daily limit."""

    id: UUID
    version: int
    daily_limit: int | None = None


class Spending(msgspec.Struct, frozen=True, gc=False):
    """One question: whose budget, what cost, by which key and for which model."""

    budget: Budget
    cost: Cost
    key: SpendingKey | None = None
    model: str = ""
    # The raw values of budget and key, where they were made before.
    values: dict[str, Any] | None = None

    @property
    def as_read(self) -> dict[str, Any]:
        """Whose budget and which key, in the versions that were read, as the hot statements want them."""
        return self.values or values_of(self.budget, self.key)


class Standing(msgspec.Struct, frozen=True, gc=False):
    """How a user stands: today's use, the limit, when it resets (local), and credits left."""

    used: int
    limit: int | None
    resets_at: datetime
    time_zone: str
    credits: int
    key_used: int | None = None
    key_limit: int | None = None

    @property
    def remaining(self) -> int | None:
        """Conversations left today; None when unlimited."""
        return None if self.limit is None else max(0, self.limit - self.used)


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What came of it. `refused` is None or a code; the parts say which balance the credits came from."""

    refused: str | None
    standing: Standing
    day: date
    plan_part: int = 0
    own_part: int = 0


def spend_in(
    raw: Any, actor: Actor, spending: Spending, now: datetime, decision: UUID, *, plainly: bool = False
) -> Outcome:
    """Spend both parts of the cost or nothing, inside the transaction of this raw connection; `plainly` tries first
    whether one statement will do. Raises Stale when the budget or the key is not as it was read.
    """
    if plainly and (outcome := _spend_plainly(spending, now, partial(hot.write_within, raw))) is not None:
        return outcome
    budget, cost, key = spending.budget, spending.cost, spending.key
    day = usage_day(budget.calendar, now)
    month, limit = month_of(day), budget.limit_at(now)
    run = _run_for(raw, spending, day, limit)
    key_used = None
    if key is not None and key.daily_limit is not None:
        run("LOCK_KEY")
        key_used = int(run("READ_KEY_DAY")[0])
        if cost.conversations and key_used + cost.conversations > key.daily_limit:
            return _refuse(run, "KEY_LIMIT_REACHED", spending, now, key_used)
    if cost.credits:
        balance = lock_balance(run, month, budget.credits_per_month, now)
        if balance.total < cost.credits:
            code = "CREDITS_EXHAUSTED" if _day_has_room(run, cost, limit) else "DAILY_LIMIT_REACHED"
            return _refuse(run, code, spending, now, key_used)
    if cost.conversations:
        row = _spend_day(run, raw, spending)
        if row is None:
            return _refuse(run, "DAILY_LIMIT_REACHED", spending, now, key_used)
        used, closed_at = int(row[0]), row[1]
        if closed_at is not None:
            run("FOLD_LATE", month=raw_day(month))
        if limit:
            _note_marks(run, used, cost.conversations, limit, now)
        told = row[2]
    else:
        _check(run, spending)
        used, told = _used(run), None
    plan_part = own_part = 0
    if cost.credits:
        who = by(actor, reason="")
        balance, plan_part, own_part = take(run, balance, cost.credits, who, now, decision=raw_id(decision))
    else:
        balance = as_turned(balance_of_text(told), month, budget.credits_per_month)
    run("NOTE_DETAIL")
    if key_used is not None:
        key_used += cost.conversations
    standing = _standing(spending, now, used, balance, key_used)
    return Outcome(None, standing, day, plan_part, own_part)


def spend_at_once(spending: Spending, now: datetime) -> Outcome | None:
    """Spend conversations alone in one statement of PostgreSQL, and commit it; None where it takes more than that, and
    nothing was spent: `spend_in` does it, or says why not."""
    return _spend_plainly(spending, now, hot.write_at_once)


def _spend_plainly(spending: Spending, now: datetime, write: Callable[[str, dict[str, Any]], Any]) -> Outcome | None:
    budget, key, cost = spending.budget, spending.key, spending.cost
    if settings.current().sqlite or cost.credits or (key is not None and key.daily_limit is not None):
        return None
    day = usage_day(budget.calendar, now)
    limit = budget.limit_at(now)
    first, last = (_reached(mark, limit) for mark in MARKS) if limit else (0, 0)
    values = {**_values_for(spending, day, limit), "first_mark": first, "last_mark": last}
    row = write(statements.PLAIN if key is None else statements.PLAIN_BY_KEY, values)
    if row is None:
        return None
    balance = as_turned(balance_of_text(row[1]), month_of(day), budget.credits_per_month)
    return Outcome(None, _standing(spending, now, int(row[0]), balance, None), day)


def _reached(mark: int, limit: int) -> int:
    """The first number of conversations that reaches this percentage of the limit."""
    return -(-limit * mark // 100)


def _spend_day(run: Run, raw: Any, spending: Spending) -> Any:
    """(used, closed at, balance) of a day with room for it; None where it has none, or the budget is not as read."""
    name = "SPEND_DAY" if spending.key is None else "SPEND_DAY_BY_KEY"
    facts = proved_on(raw)
    if facts is None:
        return run(name)
    fact = tuple(spending.as_read.values())
    if fact in facts:
        return run("SPEND_DAY_AS_PROVED")
    row = run(name)
    if row is not None:
        facts.add(fact)
    return row


def lock_for(raw: Any, spendings: Sequence[Spending]) -> None:
    """Lock what several spendings of one user will want, in the order in which everybody locks: keys, then balance."""
    run = runner(raw, user_id=raw_id(spendings[0].budget.user_id))
    keys = {spending.key.id for spending in spendings if spending.key and spending.key.daily_limit is not None}
    for key_id in sorted(keys):
        run("LOCK_KEY", key_id=raw_id(key_id))
    if any(spending.cost.credits for spending in spendings):
        run("LOCK_BALANCE")


def look_in(raw: Any, spending: Spending, now: datetime) -> Outcome:
    """How it stands, without spending."""
    day = usage_day(spending.budget.calendar, now)
    run = _run_for(raw, spending, day)
    key_used = None
    if spending.key is not None and spending.key.daily_limit is not None:
        key_used = int(run("READ_KEY_DAY")[0])
    return Outcome(None, _seen(run, spending, now, key_used), day)


def check_in(raw: Any, spending: Spending, now: datetime) -> None:
    """Raise Stale when the budget or the key is not as it was read: what is remembered may let pass, never refuse."""
    _check(_run_for(raw, spending, usage_day(spending.budget.calendar, now)), spending)


def standing_of(budget: Budget) -> Standing:
    """How the user stands now, as the session of this context sees it."""
    return look_in(database.raw_connection(), Spending(budget, Cost(0, 0)), clock.now()).standing


def look(spending: Spending) -> Standing:
    """How it stands now, as committed."""
    now = clock.now()
    return hot.read_together(lambda raw: look_in(raw, spending, now)).standing


def values_of(budget: Budget, key: SpendingKey | None = None) -> dict[str, Any]:
    """Budget and key as the hot statements want them."""
    return {
        "user_id": raw_id(budget.user_id),
        "account_version": budget.account_version,
        "plan_id": raw_id(budget.plan_id),
        "plan_version": budget.plan_version,
        "key_id": raw_id(key.id if key else NO_KEY),
        "key_version": key.version if key else 0,
    }


def _run_for(raw: Any, spending: Spending, day: date, limit: int | None = None) -> Run:
    return runner(raw, **_values_for(spending, day, limit))


def _values_for(spending: Spending, day: date, limit: int | None) -> dict[str, Any]:
    return {
        **spending.as_read,
        "day": raw_day(day),
        "model": spending.model,
        "units": spending.cost.conversations,
        "credits": spending.cost.credits,
        "most": -1 if limit is None else limit,
    }


def _check(run: Run, spending: Spending) -> None:
    if run("CHECK" if spending.key is None else "CHECK_BY_KEY") is None:
        raise Stale


def _refuse(run: Run, code: str, spending: Spending, now: datetime, key_used: int | None) -> Outcome:
    """The refusal with its numbers. They were judged by what may have changed meanwhile: then it is none."""
    _check(run, spending)
    return Outcome(code, _seen(run, spending, now, key_used), usage_day(spending.budget.calendar, now))


def _seen(run: Run, spending: Spending, now: datetime, key_used: int | None) -> Standing:
    budget = spending.budget
    month = month_of(usage_day(budget.calendar, now))
    balance = as_turned(balance_of_row(run("READ_BALANCE")), month, budget.credits_per_month)
    return _standing(spending, now, _used(run), balance, key_used)


def _standing(spending: Spending, now: datetime, used: int, balance: Balance, key_used: int | None) -> Standing:
    budget, key = spending.budget, spending.key
    return Standing(
        used=used,
        limit=budget.limit_at(now),
        resets_at=resets_at(budget.calendar, now),
        time_zone=budget.calendar.zone,
        credits=balance.total,
        key_used=key_used,
        key_limit=key.daily_limit if key else None,
    )


def _used(run: Run) -> int:
    row = run("READ_DAY")
    return int(row[0]) if row else 0


def _day_has_room(run: Run, cost: Cost, limit: int | None) -> bool:
    return limit is None or not cost.conversations or _used(run) + cost.conversations <= limit


def _note_marks(run: Run, used: int, units: int, limit: int, now: datetime) -> None:
    """Write down the marks that this spending reached, for the job that warns."""
    for mark in MARKS:
        if used - units < _reached(mark, limit) <= used:
            run("NOTE_MARK", mark=mark, at=raw_instant(now))
