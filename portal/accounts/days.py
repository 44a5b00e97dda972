"""Usage days: (calendar, instant) → date, and when that day ends. Plain arithmetic, right on every DST day.

A change of zone wins nobody a second day: the day one is in goes on, with what was used, till a midnight of the new
zone that comes at most four hours before the old reset (`day_held_after_move`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

MOST_EARLY = timedelta(hours=4)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class Calendar(NamedTuple):
    """By what a user's days are told: the IANA zone and, after a change of it, the day held till an instant."""

    zone: str
    held_day: date | None = None
    held_until: datetime | None = None


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of this IANA name."""
    return ZoneInfo(name)


def usage_day(calendar: Calendar, instant: datetime) -> date:
    """The usage day of this instant: the local date, or the day held after a change of zone."""
    if calendar.held_until is not None and calendar.held_day is not None and instant < calendar.held_until:
        return calendar.held_day
    return _local_day(calendar.zone, instant)[0]


def resets_at(calendar: Calendar, instant: datetime) -> datetime:
    """The first instant of the next usage day, as a local time with its offset."""
    if calendar.held_until is not None and instant < calendar.held_until:
        return calendar.held_until.astimezone(zone(calendar.zone))
    return _local_day(calendar.zone, instant)[2].astimezone(zone(calendar.zone))


def month_of(day: date) -> date:
    """The first day of the month of a usage day."""
    return day.replace(day=1)


def day_held_after_move(before: Calendar, new_zone: str, instant: datetime) -> tuple[date, datetime] | None:
    """(day, till when) that is held when the zone changes at this instant; None where the new zone's own day agrees.

    The held day ends at the first midnight of the new zone that is still to come, has a later date, and is at most
    MOST_EARLY before the reset that was promised.
    """
    day, promised = usage_day(before, instant), resets_at(before, instant)
    turn = instant
    while True:
        turn = _local_day(new_zone, turn)[2]
        begins = _local_day(new_zone, turn)[0]
        if begins > day and turn >= promised - MOST_EARLY:
            break
    alone = Calendar(new_zone)
    if usage_day(alone, instant) == day and resets_at(alone, instant) == turn:
        return None
    return day, turn


_windows: dict[str, tuple[date, datetime, datetime]] = {}


def _local_day(zone_name: str, instant: datetime) -> tuple[date, datetime, datetime]:
    """(day, its first instant, the next day's first instant) in UTC; the last answer of each zone is kept."""
    window = _windows.get(zone_name)
    if window is None or not window[1] <= instant < window[2]:
        window = _windows[zone_name] = _find_day(zone_name, instant.astimezone(UTC))
    return window


def _find_day(zone_name: str, instant: datetime) -> tuple[date, datetime, datetime]:
    day = instant.astimezone(zone(zone_name)).date()
    end = _first_instant(zone_name, day + _DAY)
    if end <= instant:  # the clock went back over a midnight: that day has begun already
        day += _DAY
        end = _first_instant(zone_name, day + _DAY)
    begin = _first_instant(zone_name, day)
    return day, begin, end


def _first_instant(zone_name: str, day: date) -> datetime:
    """When this local date, or the next one there is, begins first.

    Where a zone skips midnight, `fold=0` reads the wall time with the offset from before the jump, which is the very
    instant of the jump when that begins at midnight; where midnight comes twice, it is the first one.
    """
    turn = datetime.combine(day, time(0), tzinfo=zone(zone_name)).astimezone(UTC)
    while (turn - _SECOND).astimezone(zone(zone_name)).date() >= day:
        turn -= timedelta(minutes=1)  # the jump began before midnight: find where
    return turn
