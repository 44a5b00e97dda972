"""What the database and the spool hold, to be held against what the answers said: every accepted record once."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.books import WrongBooks

if TYPE_CHECKING:
    from benchmarks.stores import Store

# As long as a flush of all that a case leaves in the spool may take.
PATIENCE_S = 120
POLL_S = 0.02
STORED = "SELECT count(*) FROM message_logs"
ASIDE = "SELECT count(*) FROM quarantined_records"
POSITIONS = "SELECT file, position FROM spool_positions"


@dataclass(frozen=True, slots=True)
class Ledger:
    """Records stored, records set aside, and bytes of the spool that are not stored yet."""

    stored: int
    aside: int
    waiting: int


def read_ledger(store: Store) -> Ledger:
    """The ledger as it is now."""
    return Ledger(stored(store), int(_rows(store, ASIDE)[0][0]), waiting_bytes(store))


def stored(store: Store) -> int:
    """Records that stand in the database."""
    return int(_rows(store, STORED)[0][0])


def waiting_bytes(store: Store) -> int:
    """What lies in the spool and is not stored."""
    sizes: dict[str, int] = {}
    for path in (store.data_dir / "spool").glob("*.spool"):
        with contextlib.suppress(FileNotFoundError):
            sizes[path.name] = path.stat().st_size
    reached = {str(file): int(position) for file, position in _rows(store, POSITIONS)} if sizes else {}
    return sum(max(0, size - reached.get(file, 0)) for file, size in sizes.items())


def _rows(store: Store, statement: str) -> list[tuple[Any, ...]]:
    if store.sqlite:
        with contextlib.closing(sqlite3.connect(store.dsn, timeout=PATIENCE_S)) as connection:
            return connection.execute(statement).fetchall()
    with psycopg.connect(store.dsn, autocommit=True) as own:
        return own.execute(statement.encode()).fetchall()


def wait_until_stored(store: Store, *, left: int = 0) -> None:
    """Until no more than so many bytes of the spool are not stored. Raises WrongBooks when they stay."""
    deadline = time.monotonic() + PATIENCE_S
    while waiting_bytes(store) > left:
        if time.monotonic() > deadline:
            raise WrongBooks(f"{waiting_bytes(store)} bytes still wait in the spool after {PATIENCE_S} s")
        time.sleep(POLL_S)


def check_ledger(before: Ledger, after: Ledger, *, accepted: int, in_flight: int) -> None:
    """Raises WrongBooks unless each accepted record is stored once. `in_flight`: of requests whose answers nobody
    waited for, any of which may have been taken."""
    stored, aside = after.stored - before.stored, after.aside - before.aside
    faults = []
    if not accepted <= stored <= accepted + in_flight:
        faults.append(f"{accepted} records were accepted, and {stored} stored (at most {in_flight} in flight)")
    if aside:
        faults.append(f"{aside} records were set aside")
    if after.waiting:
        faults.append(f"{after.waiting} bytes still wait in the spool")
    if faults:
        raise WrongBooks("; ".join(faults))
