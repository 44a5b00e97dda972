"""Slowing down guessing, per account name and per address, shared by all instances through the database.

Counts the name as typed whether or not it exists, so that a 429 tells nothing. A window of failures ends by
itself, so nobody can lock a person out for longer than WINDOW.
"""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import case, delete, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from portal.core import clock, crypto
from portal.core.addresses import neighbourhood
from portal.core.database import db, dialect_name
from portal.core.errors import LimitReached
from portal.core.text import BadName, canonical_email, folded, gettext
from portal.signin.models import FailureCount

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = timedelta(minutes=15)
MOST = {"name": 10, "address": 100, "mail": 5, "register": 30, "factor": 10, "reauth": 10}


def counter_of(sort: str, value: str | None) -> str:
    """The name of a counter: `name` for an account as typed, `address` for where it came from, of IPv6 the /64."""
    if sort in {"address", "register"}:
        value = neighbourhood(value)
    return f"{sort}:{crypto.keyed_digest('throttle', _canonical(value or ''))}"


def _canonical(typed: str) -> str:
    """The form in which accounts are found: another spelling of one e-mail address is no further try."""
    if "@" in typed:
        with suppress(BadName):
            return canonical_email(typed)
    return folded(typed.strip())


def check_throttle(*counters: str) -> None:
    """Raises LimitReached when one of the counters is over its limit in the present window."""
    rows = db.session.scalars(select(FailureCount).where(FailureCount.name.in_(counters))).all()
    for row in rows:
        over = row.window_started_at + WINDOW
        if over > clock.now() and row.failures >= MOST[row.name.partition(":")[0]]:
            wait = math.ceil((over - clock.now()).total_seconds())
            minutes = max(1, math.ceil(wait / 60))
            words = gettext("Too many tries. Wait %(minutes)s minutes, or reset the password.", minutes=minutes)
            raise LimitReached(words, retry_after=wait)


def count_failure(*counters: str) -> None:
    """Add one to each counter; a window that is over begins anew."""
    now = clock.now()
    insert = postgres_insert if dialect_name() == "postgresql" else sqlite_insert
    for name in counters:
        fresh = insert(FailureCount).values(name=name, window_started_at=now, failures=1)
        over = FailureCount.window_started_at <= now - WINDOW
        db.session.execute(
            fresh.on_conflict_do_update(
                index_elements=["name"],
                set_={
                    "failures": case((over, 1), else_=FailureCount.failures + 1),
                    "window_started_at": case((over, now), else_=FailureCount.window_started_at),
                },
            )
        )


def failure_of(*counters: str) -> Callable[[], None]:
    """The trace an error carries: counts the failures after the rollback."""
    return lambda: count_failure(*counters)


def forget_failures(*counters: str) -> None:
    """Begin anew after a success."""
    held = db.session.scalars(select(FailureCount.name).where(FailureCount.name.in_(counters))).all()
    if held:
        db.session.execute(delete(FailureCount).where(FailureCount.name.in_(held)))
