"""Spending calls a minute and user, counted in this process: a sliding window of two minutes' counters.

Approximate with several processes, each of which counts its own; the daily limit beside it is exact.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

MINUTE = 60.0
MOST_KEPT = 50_000

# user → [the minute, calls in it, calls in the one before]
_counts: dict[UUID, list[int]] = {}
_one_at_a_time = threading.Lock()


def reserve_call(user_id: UUID, per_minute: int, now: datetime) -> float | None:
    """Count a call if the rate allows it: None then, else the seconds until it may be tried again."""
    at = now.timestamp()
    minute = int(at // MINUTE)
    with _one_at_a_time:
        count = _counts.get(user_id)
        if count is None:
            if len(_counts) >= MOST_KEPT:
                _forget_old(minute)
            count = _counts[user_id] = [minute, 0, 0]
        if minute > count[0]:
            count[:] = [minute, 0, count[1] if minute == count[0] + 1 else 0]
        count[0] = minute  # where the clock was put back, the counts come along: nobody waits for that hour again
        share = 1 - (at / MINUTE - minute)
        if count[1] + count[2] * share + 1 > per_minute:
            return _wait(count, per_minute, at)
        count[1] += 1
    return None


def release_call(user_id: UUID) -> None:
    """Take back a counted call that spent nothing."""
    with _one_at_a_time:
        count = _counts.get(user_id)
        if count is not None and count[1] > 0:
            count[1] -= 1


def forget_rates() -> None:
    """Begin anew."""
    with _one_at_a_time:
        _counts.clear()


def _wait(count: list[int], per_minute: int, at: float) -> float:
    """Seconds until the window has slid far enough for one more call."""
    into = at - count[0] * MINUTE
    room = per_minute - 1 - count[1]
    if per_minute < 1:
        return MINUTE
    if room >= 0 and count[2]:
        return max(1.0, MINUTE * (1 - room / count[2]) - into)
    # Only the next minute helps: there this one's calls count as those before.
    return max(1.0, MINUTE - into + MINUTE * (1 - (per_minute - 1) / max(count[1], 1)))


def _forget_old(minute: int) -> None:
    for user_id in [user_id for user_id, count in _counts.items() if count[0] < minute - 1]:
        del _counts[user_id]
