"""Sixty days of use: a weekly rhythm, today partly used, some at their limit; and the months they fold into."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from portal.accounts.days import Calendar, usage_day, zone
from portal.demo.talk import MODEL_SHARES, MODELS

if TYPE_CHECKING:
    from random import Random

DAYS = 60
# How likely somebody comes, and how much they use, on Monday to Sunday.
RHYTHM = (1.15, 1.2, 1.2, 1.15, 1.0, 0.45, 0.5)
SIZE = {"free": 1.0, "plus": 4.0, "studio": 12.0, "team": 18.0}
# Share of the users of a small limit who have used it up today; larger ones would stand out of every chart.
AT_LIMIT, SMALL = 0.012, 100
CLOSES_AFTER = timedelta(seconds=150)


@dataclass(frozen=True, slots=True)
class UsedDay:
    """One day of a user: conversations used by model. `closed_at` None while the day runs."""

    day: date
    by_model: dict[str, int]
    closed_at: datetime | None

    @property
    def used(self) -> int:
        """All conversations of the day."""
        return sum(self.by_model.values())


@lru_cache(maxsize=16384)
def day_starts(zone_name: str, day: date) -> datetime:
    """The instant at which a local day begins, in UTC."""
    return datetime.combine(day, time(0), tzinfo=zone(zone_name)).astimezone(UTC)


def instant_in(zone_name: str, day: date, share: float, now: datetime) -> datetime:
    """The instant when this share (0 to 1) of a local day is over, or of what has passed of it by `now`."""
    start = day_starts(zone_name, day)
    end = min(day_starts(zone_name, day + timedelta(days=1)), now)
    return start + (end - start) * share


def draw_days(
    chance: Random,
    *,
    zone_name: str,
    plan: str,
    limit: int | None,
    since: datetime,
    now: datetime,
    spare: bool,
) -> list[UsedDay]:
    """The days a user of this plan and limit used since signing up, oldest first. `spare` leaves room today."""
    today = usage_day(Calendar(zone_name), now)
    joined = usage_day(Calendar(zone_name), since)
    eager = chance.uniform(0.12, 0.6)
    level = math.exp(chance.uniform(0.7, 3.9)) * SIZE.get(plan, 1.0)
    favourites = chance.choices(MODELS, MODEL_SHARES, k=2)
    full = chance.random() < AT_LIMIT and not spare and limit is not None and limit <= SMALL
    days = []
    # Every day takes the same number of draws, used or not, so that the numbers hang on the seed alone.
    for back in range(DAYS - 1, -1, -1):
        comes, much, split = chance.random(), chance.random(), chance.random()
        day = today - timedelta(days=back)
        rhythm = RHYTHM[day.weekday()]
        used = 0
        if comes < eager * rhythm:
            used = math.ceil(level * (1 + rhythm) / 2 * (0.4 + 1.2 * much))
        if back == 0:
            used = _used_so_far(used, limit, _passed(zone_name, today, now), full=full, spare=spare)
        if limit is not None:
            used = min(used, limit)
        if used and day >= joined:
            closed = None if back == 0 else _closes(zone_name, day, now)
            days.append(UsedDay(day, _by_model(used, favourites, split), closed))
    return days


def _passed(zone_name: str, today: date, now: datetime) -> float:
    start, end = day_starts(zone_name, today), day_starts(zone_name, today + timedelta(days=1))
    return (now - start) / (end - start)


def _used_so_far(used: int, limit: int | None, passed: float, *, full: bool, spare: bool) -> int:
    if full and limit:
        return limit
    used = round(used * passed)
    return min(used, limit // 2) if spare and limit is not None else used


def _closes(zone_name: str, day: date, now: datetime) -> datetime:
    return min(day_starts(zone_name, day + timedelta(days=1)) + CLOSES_AFTER, now)


def _by_model(used: int, favourites: list[str], split: float) -> dict[str, int]:
    first, second = favourites
    other = round(used * (split - 0.75) * 2) if split > 0.75 and first != second else 0
    return {first: used - other, second: other} if other else {first: used}


def fold_months(days: list[UsedDay]) -> dict[date, int]:
    """Conversations of the closed days by month, as closing them one by one would have added them up."""
    months: dict[date, int] = {}
    for day in days:
        if day.closed_at is not None:
            month = day.day.replace(day=1)
            months[month] = months.get(month, 0) + day.used
    return months
