"""The one place that reads the clock. All instants are aware and in UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_MICROSECOND = timedelta(microseconds=1)
_offset = timedelta(0)
_offset_us = 0


def now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC) + _offset


def microseconds() -> int:
    """The present instant in whole microseconds since 1970."""
    return time.time_ns() // 1000 + _offset_us


def seconds() -> int:
    """The present instant in whole seconds since 1970, as signed claims tell it."""
    return microseconds() // 1_000_000


def monotonic() -> float:
    """Seconds that never run backwards: for waiting and measuring, never for dates."""
    return time.monotonic()


def shift(offset: timedelta) -> None:
    """Move this process's clock away from the machine's (CLOCK_OFFSET_S in development, and tests)."""
    global _offset, _offset_us
    _offset, _offset_us = offset, offset // _MICROSECOND


def offset() -> timedelta:
    """How far this process's clock stands from the machine's."""
    return _offset
