"""Slowing down guessing and flooding, shared by all instances through the database.

A try is counted before anything slow is done with it, by one guarded statement: of many at the same moment no more get
through than may. What is counted is the name as typed, whether or not it exists, so that a 429 tells nothing. Two
sorts of counters:

- those that grow (GROWING): after the free tries each next one must wait, 1, 2, 4 … seconds, LONGEST at most, since the
  one before. Tries that are refused count for nothing. An hour without a try and all is forgotten;
- windows: so many within WINDOW, which ends by itself.

A browser in which somebody signed in to the account before has a counter of its own: what strangers type keeps nobody
out of it. So nobody can be kept out of an account for longer than LONGEST, and there by nothing but waiting.
"""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from portal.core import clock, crypto
from portal.core.addresses import neighbourhood
from portal.core.database import db, dialect_name, transaction
from portal.core.errors import LimitReached
from portal.core.text import BadName, canonical_email, folded, gettext
from portal.signin.models import FailureCount

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

WINDOW = timedelta(minutes=15)
LONGEST = timedelta(minutes=15)
QUIET = timedelta(hours=1)
# How many tries are free. By account: a name from browsers that are strange to it, a browser that is known to it, a
# second factor, whoever is signed in and is asked again. By address, and from everybody together.
MOST = {"name": 5, "known": 5, "factor": 10, "reauth": 5, "address": 100, "mail": 5, "reset": 5, "register": 50}
MOST |= {"invite": 300, "challenge": 600, "all-sign-ins": 10_000, "all-mails": 2_000, "all-registrations": 2_000}
GROWING = {"name", "known", "factor", "reauth"}
BATCH = 500
_STEPS = math.ceil(math.log2(LONGEST.total_seconds()))


def counter_of(sort: str, value: str | None) -> str:
    """The name of a counter: `name` for an account as typed, `address` for where it came from, of IPv6 the /64."""
    if sort in {"address", "register", "challenge"}:
        value = neighbourhood(value)
    return f"{sort}:{crypto.keyed_digest('throttle', _canonical(value or ''))}"


def mail_counters(address: str | None, typed_name: str, *, sort: str = "mail") -> tuple[str, ...]:
    """The counters of a mail that anybody may have sent to an account: of its name as typed, of where they are, of
    all. Those of a reset are of a sort of their own: other mails must keep nobody from it, for it is the way in of whom
    strangers have slowed down."""
    return counter_of(sort, typed_name), counter_of("address", address), counter_of("all-mails", "")


def _canonical(typed: str) -> str:
    """The form in which accounts are found: another spelling of one e-mail address is no further try."""
    if "@" in typed:
        with suppress(BadName):
            return canonical_email(typed)
    return folded(typed.strip())


def take_try(*counters: str) -> None:
    """Count a try, in a transaction of its own that ends before anything slow begins; all counters or none.

    What turns out right is given back. Raises LimitReached when one of them is full.
    """
    with transaction():
        count_try(*counters)


def count_try(*counters: str) -> None:
    """The same in the transaction of the act, for what is not slow. Raises LimitReached."""
    check_throttle(*counters)  # a flood of tries that are refused anyway keeps nobody from writing
    for name in sorted(counters):  # in one order, so that no two wait for each other
        if db.session.execute(_counted(name, guarded=True)).first() is None:
            raise _refusal(db.session.get_one(FailureCount, name, populate_existing=True))


def check_throttle(*counters: str) -> None:
    """Raises LimitReached when one of the counters is full; counts nothing."""
    query = select(FailureCount).where(FailureCount.name.in_(counters)).execution_options(populate_existing=True)
    for row in db.session.scalars(query).all():
        if _wait(row) > timedelta(0):
            raise _refusal(row)


def count_of(counter: str) -> int:
    """How many tries a counter holds that still count for something."""
    row = db.session.get(FailureCount, counter, populate_existing=True)
    if row is None:
        return 0
    over = row.last_at is None or row.last_at <= clock.now() - QUIET
    return 0 if over and _sort_of(counter) in GROWING else row.failures


def count_failure(*counters: str) -> None:
    """Add one to each counter, however full; one that is over begins anew."""
    for name in sorted(counters):
        db.session.execute(_counted(name, guarded=False))


def failure_of(*counters: str) -> Callable[[], None]:
    """The trace an error carries: counts the failures after the rollback."""
    return lambda: count_failure(*counters)


def give_back(*counters: str) -> None:
    """A try that was taken was none: it was right, or there was no time to look at it."""
    for name in sorted(counters):
        row = update(FailureCount).where(FailureCount.name == name, FailureCount.failures > 0)
        _write(row.values(failures=FailureCount.failures - 1))


def forget_failures(*counters: str) -> None:
    """Begin anew after a success."""
    held = db.session.scalars(select(FailureCount.name).where(FailureCount.name.in_(counters))).all()
    if held:
        _write(delete(FailureCount).where(FailureCount.name.in_(held)))


def settle(own: str, *shared: str) -> None:
    """A try that was right: the counter of one's own begins anew, from those shared with others it is taken back.

    The shared ones first, as they are counted: two who hold what the other waits for would hang.
    """
    give_back(*shared)
    forget_failures(own)


def forget_counts() -> int:
    """Delete a batch of counters that count for nothing any more. Answers how many were."""
    now = clock.now()
    over = FailureCount.window_started_at <= now - WINDOW
    quiet = or_(FailureCount.last_at.is_(None), FailureCount.last_at <= now - QUIET)
    old = select(FailureCount.name).where(over, quiet).limit(BATCH)
    gone = db.session.execute(
        delete(FailureCount)
        .where(FailureCount.name.in_(old), over, quiet)
        .returning(FailureCount.name)
        .execution_options(synchronize_session=False)
    )
    return len(gone.all())


def _sort_of(name: str) -> str:
    return name.partition(":")[0]


def _counted(name: str, *, guarded: bool) -> Any:
    """The statement that adds one to a counter; guarded, it answers a row only where there was room."""
    now, sort = clock.now(), _sort_of(name)
    insert: Any = postgres_insert if dialect_name() == "postgresql" else sqlite_insert
    over = _over(sort, now)
    rise = (
        insert(FailureCount)
        .values(name=name, window_started_at=now, failures=1, last_at=now)
        .on_conflict_do_update(
            index_elements=["name"],
            set_={
                "failures": case((over, 1), else_=FailureCount.failures + 1),
                "window_started_at": case((over, now), else_=FailureCount.window_started_at),
                "last_at": now,
            },
            where=or_(over, *_room(sort, now)) if guarded else None,
        )
    )
    return rise.returning(FailureCount.failures).execution_options(synchronize_session=False)


def _over(sort: str, now: datetime) -> Any:
    """Whether what was counted counts no more. A moment that lies ahead tells of a clock that was put back."""
    if sort in GROWING:
        last = FailureCount.last_at
        return or_(last.is_(None), last <= now - QUIET, last > now + LONGEST)
    began = FailureCount.window_started_at
    return or_(began <= now - WINDOW, began > now + WINDOW)


def _room(sort: str, now: datetime) -> list[Any]:
    """On which conditions there is room for one more."""
    free = FailureCount.failures < MOST[sort]
    if sort not in GROWING:
        return [free]
    steps = [(FailureCount.failures <= MOST[sort] + step, now - _delay(step)) for step in range(_STEPS)]
    return [free, FailureCount.last_at <= case(*steps, else_=now - LONGEST)]


def _delay(step: int) -> timedelta:
    """How long to wait before the try after `step` further ones than are free."""
    return min(timedelta(seconds=2 ** min(step, _STEPS)), LONGEST)


def _wait(row: FailureCount) -> timedelta:
    """How long this counter has to be waited for; nothing where there is room."""
    now, sort = clock.now(), _sort_of(row.name)
    if row.failures < MOST[sort]:
        return timedelta(0)
    if sort not in GROWING:
        left = row.window_started_at + WINDOW - now
        return left if left <= 2 * WINDOW else timedelta(0)
    if row.last_at is None or not now - QUIET < row.last_at <= now + LONGEST:
        return timedelta(0)
    return row.last_at + _delay(row.failures - MOST[sort]) - now


def _refusal(row: FailureCount) -> LimitReached:
    # Told in minutes only: two who wait a second more or less are told the same.
    wait = max(1, math.ceil(_wait(row).total_seconds()))
    if wait <= 60:
        return LimitReached(gettext("Too many tries. Wait a minute, or reset the password."), retry_after=wait)
    minutes = math.ceil(wait / 60)
    words = gettext("Too many tries. Wait %(minutes)s minutes, or reset the password.", minutes=minutes)
    return LimitReached(words, retry_after=wait)


def _write(statement: Any) -> None:
    db.session.execute(statement.execution_options(synchronize_session=False))
