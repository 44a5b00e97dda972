"""One clock for the whole process, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from portal.core import clock


def test_now_is_aware_and_true() -> None:
    assert clock.now().tzinfo is UTC
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_clock_can_be_moved_and_put_back() -> None:
    clock.shift(timedelta(days=3))
    try:
        assert clock.offset() == timedelta(days=3)
        assert clock.now() - datetime.now(UTC) > timedelta(days=2)
    finally:
        clock.shift(timedelta(0))
    assert clock.offset() == timedelta(0)


def test_waiting_is_not_moved_with_it() -> None:
    before = clock.monotonic()
    clock.shift(timedelta(days=3))
    try:
        assert clock.monotonic() - before < 60
    finally:
        clock.shift(timedelta(0))
