"""Spending calls a minute and user: a sliding window of two minutes' counters.

Where REDIS_URL names a server, all instances count together. Without one, or while it does not answer, each process
counts its own, so that several let through more; the daily limit beside it is exact always.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from portal.core.shared import ask_shared

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

MINUTE = 60.0
MOST_KEPT = 50_000

# Counts one call more unless that would be too many; answers whether, and the two counters of before.
RESERVE = """
local now, before = tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(redis.call('GET', KEYS[2]) or '0')
if now + before * tonumber(ARGV[2]) + 1 > tonumber(ARGV[1]) then return {0, now, before} end
redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], 180)
return {1, now, before}
"""
RELEASE = "if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end"

# user → [the minute, calls in it, calls in the one before]
_counts: dict[UUID, list[int]] = {}
_one_at_a_time = threading.Lock()


def reserve_call(user_id: UUID, per_minute: int, now: datetime) -> float | None:
    """Count a call if the rate allows it: None then, else the seconds until it may be tried again."""
    at = now.timestamp()
    minute = int(at // MINUTE)
    share = 1 - (at / MINUTE - minute)
    keys = (_key(user_id, minute), _key(user_id, minute - 1))
    told = ask_shared(lambda server: server.eval(RESERVE, 2, *keys, per_minute, share))
    if told is not None:
        return None if told[0] else _wait([minute, told[1], told[2]], per_minute, at)
    with _one_at_a_time:
        count = _counts.get(user_id)
        if count is None:
            if len(_counts) >= MOST_KEPT:
                _forget_old(minute)
            count = _counts[user_id] = [minute, 0, 0]
        if minute > count[0]:
            count[:] = [minute, 0, count[1] if minute == count[0] + 1 else 0]
        count[0] = minute  # where the clock was put back, the counts come along: nobody waits for that hour again
        if count[1] + count[2] * share + 1 > per_minute:
            return _wait(count, per_minute, at)
        count[1] += 1
    return None


def release_call(user_id: UUID, now: datetime) -> None:
    """Take back a call counted at that instant, which spent nothing."""
    minute = int(now.timestamp() // MINUTE)
    if ask_shared(lambda server: server.eval(RELEASE, 1, _key(user_id, minute)) or True):
        return
    with _one_at_a_time:
        count = _counts.get(user_id)
        if count is None or minute < count[0] - 1:
            return
        place = 2 if minute < count[0] else 1  # it may have been counted a minute ago
        count[place] = max(0, count[place] - 1)


def forget_rates() -> None:
    """Begin anew."""
    with _one_at_a_time:
        _counts.clear()


def _key(user_id: UUID, minute: int) -> str:
    """The counter's name; the braces keep a user's counters on one node of a cluster."""
    return f"doorward:rate:{{{user_id}}}:{minute}"


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
