"""What holds for a user at this moment: the override, else the plan, plus a boost; read when spending, never copied."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from portal.accounts.days import Calendar, usage_day
from portal.accounts.models import User
from portal.core import clock, hot
from portal.core import settings as current_settings
from portal.core.database import id_of_raw, instant_of_raw, raw_id, raw_instant
from portal.core.statements import both
from portal.usage.plans import plan_of

if TYPE_CHECKING:
    from collections.abc import Sequence

# The plan that holds now: a coming one from its instant on.
PLAN_NOW = "CASE WHEN u.next_plan_from <= :now THEN u.next_plan_id ELSE a.plan_id END"
COLUMNS = """a.id, a.username, a.state, a.version, a.time_zone, u.held_day, u.held_until,
    u.daily_limit_override, u.boost_extra, u.boost_until, u.next_plan_from,
    p.id, p.name, p.version, p.daily_limit, p.rate_per_minute, p.credits_per_month, p.prices"""
WIDTH = 18
TABLES = f"accounts a JOIN users u ON u.account_id = a.id JOIN plans p ON p.id = {PLAN_NOW}"
_FIND = ("SELECT", COLUMNS, "FROM", TABLES, "WHERE")
FIND_BY_ID = " ".join((*_FIND, "a.id = :id"))
FIND_BY_NAME = " ".join((*_FIND, "a.username_canonical = :name"))
SQLITE, POSTGRES = both({"FIND_BY_ID": FIND_BY_ID, "FIND_BY_NAME": FIND_BY_NAME})


class Budget(msgspec.Struct, frozen=True, gc=False):
    """Whose budget it is and what holds for it. None means no limit.

    The versions are those of the rows it was read from: a spending compares them, so an old copy spends nothing.
    From `good_until` on another plan holds, and so it does before `good_from`, where the clock is put back.
    """

    user_id: UUID
    username: str
    state: str
    account_version: int
    calendar: Calendar
    override: int | None
    boost_extra: int
    boost_until: datetime | None
    plan_id: UUID
    plan: str
    plan_version: int
    plan_limit: int | None
    rate_per_minute: int | None
    credits_per_month: int
    prices: dict[str, int]
    good_until: datetime | None = None
    good_from: datetime | None = None

    def limit_at(self, now: datetime) -> int | None:
        """Conversations a day at this instant; None when unlimited."""
        limit = self.plan_limit if self.override is None else self.override
        if limit is not None and self.boost_until is not None and now < self.boost_until:
            return limit + self.boost_extra
        return limit

    def is_good_at(self, now: datetime) -> bool:
        """Whether a copy of this may still be used."""
        return (self.good_until is None or now < self.good_until) and (self.good_from is None or self.good_from <= now)


def budget_of(user: User) -> Budget:
    """What holds for the user now, from the session's own view of the rows."""
    plan = plan_of(user)
    return Budget(
        user_id=user.id,
        username=user.username,
        state=user.state,
        account_version=user.version,
        calendar=user.calendar,
        override=user.daily_limit_override,
        boost_extra=user.boost_extra,
        boost_until=user.boost_until,
        plan_id=plan.id,
        plan=plan.name,
        plan_version=plan.version,
        plan_limit=plan.daily_limit,
        rate_per_minute=plan.rate_per_minute,
        credits_per_month=plan.credits_per_month,
        prices=plan.prices,
    )


def find_budget(*, user_id: UUID | None = None, name: str | None = None) -> Budget | None:
    """The committed budget of a user by id or canonical username, read beside the session."""
    texts = SQLITE if current_settings.current().sqlite else POSTGRES
    now = clock.now()
    values = {"now": raw_instant(now), "id": raw_id(user_id) if user_id else None, "name": name}
    row = hot.read(texts["FIND_BY_ID" if user_id else "FIND_BY_NAME"], values)
    return None if row is None else budget_of_row(row, now)


def budget_of_row(row: Sequence[Any], now: datetime) -> Budget:
    """The budget in the COLUMNS of a raw row, read at `now`."""
    comes = instant_of_raw(row[10])
    return Budget(
        user_id=id_of_raw(row[0]),
        username=row[1],
        state=row[2],
        account_version=row[3],
        calendar=Calendar(row[4], day_of_raw(row[5]), instant_of_raw(row[6])),
        override=row[7],
        boost_extra=row[8],
        boost_until=instant_of_raw(row[9]),
        plan_id=id_of_raw(row[11]),
        plan=row[12],
        plan_version=row[13],
        plan_limit=row[14],
        rate_per_minute=row[15],
        credits_per_month=row[16],
        prices=json_of_raw(row[17]) or {},
        good_until=comes if comes is not None and now < comes else None,
        good_from=comes if comes is not None and comes <= now else None,
    )


def day_of_raw(value: Any) -> date | None:
    """A date as a raw statement gave it."""
    return date.fromisoformat(value) if isinstance(value, str) else value


def json_of_raw(value: Any) -> Any:
    """JSON as a raw statement gave it."""
    return json.loads(value) if isinstance(value, str) else value


def today_of(user: User) -> date:
    """The usage day the user is in."""
    return usage_day(user.calendar, clock.now())
