"""What the database says was spent, to be held against what the answers said."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from benchmarks.stores import SPENT_SINCE

if TYPE_CHECKING:
    from benchmarks.stores import Store

# Longer than any request may wait for a lock (DB_TIMEOUT_S).
PATIENCE_S = 6
# Two readings at least so far apart that agree: nothing is in flight any more.
SETTLED_S = 0.2
SUMS = (
    f"SELECT COALESCE(SUM(used), 0) FROM usage_days WHERE {SPENT_SINCE}",  # noqa: S608  # a constant
    f"SELECT COALESCE(SUM(used), 0) FROM usage_details WHERE {SPENT_SINCE}",  # noqa: S608  # a constant
    "SELECT COALESCE(SUM(plan_credits + own_credits), 0) FROM credit_balances",
    "SELECT COALESCE(SUM(amount), 0) FROM credit_entries",
)


class WrongBooks(Exception):
    """What was spent is not what was answered; the text has the numbers."""


@dataclass(frozen=True, slots=True)
class Books:
    """Sums over everybody: units of the days, of the details, credits held, and changes in the ledger."""

    days: int
    details: int
    credits: int
    ledger: int


def read_books(store: Store) -> Books:
    """The books as they are now."""
    if store.sqlite:
        with contextlib.closing(sqlite3.connect(store.dsn, timeout=PATIENCE_S)) as connection:
            return Books(*(int(connection.execute(text).fetchone()[0]) for text in SUMS))
    with psycopg.connect(store.dsn, autocommit=True) as own:
        found = [own.execute(text.encode()).fetchone() for text in SUMS]
        return Books(*(int(row[0]) for row in found if row))


def check_books(
    store: Store, before: Books, *, valid: int, in_flight: int, credits: int = 0, slowest_s: float = 0.0
) -> Books:
    """The books after so many VALID answers. `in_flight`: units of requests whose answers nobody waited for, each of
    which may take as long as the slowest did; `credits`: the price of a unit. Raises WrongBooks."""
    # What is in flight still comes in, and would be found in the books of the next case.
    settled_s = max(SETTLED_S, 2 * slowest_s) if in_flight else 0.0
    deadline = time.monotonic() + settled_s + PATIENCE_S
    last = None
    while True:
        after = read_books(store)
        faults = _faults(before, after, valid=valid, in_flight=in_flight, credits=credits)
        if not faults and (after == last or not in_flight):
            return after
        if faults and time.monotonic() > deadline:
            raise WrongBooks("; ".join(faults))
        last = after
        time.sleep(max(settled_s, 0.05))


def _faults(before: Books, after: Books, *, valid: int, in_flight: int, credits: int) -> list[str]:
    days, details = after.days - before.days, after.details - before.details
    spent, entered = before.credits - after.credits, before.ledger - after.ledger
    faults = []
    if not valid <= days <= valid + in_flight:
        faults.append(
            f"{valid} units were answered VALID, and usage_days rose by {days} (at most {in_flight} in flight)"
        )
    if details != days:
        faults.append(f"usage_days rose by {days}, usage_details by {details}")
    if spent != days * credits:
        faults.append(f"{days} units at {credits} credits each took {spent} credits from the balances")
    if entered != spent:
        faults.append(f"balances fell by {spent}, the ledger by {entered}")
    return faults
