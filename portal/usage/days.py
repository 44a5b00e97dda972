"""Usage days: (zone, instant) → date, and when that day ends. Plain arithmetic, right on every DST day."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of this IANA name."""
    return ZoneInfo(name)


def usage_day(zone_name: str, instant: datetime) -> date:
    """The local date at this instant: the usage day it belongs to."""
    return instant.astimezone(zone(zone_name)).date()


def resets_at(zone_name: str, instant: datetime) -> datetime:
    """The first instant of the next usage day, as a local time with its offset.

    Where a zone skips midnight, `fold=0` reads the wall time with the offset from before the jump, which
    is the very instant of the jump; where midnight comes twice, it is the first one.
    """
    tomorrow = usage_day(zone_name, instant) + timedelta(days=1)
    turn = datetime.combine(tomorrow, time(0), tzinfo=zone(zone_name))
    return turn.astimezone(UTC).astimezone(zone(zone_name))
