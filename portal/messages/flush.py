"""The flush: from the spool into the database, in one transaction with the position reached.

A crash before the commit stores nothing and moves nothing; after it, the position says what is stored, or the
database knows what comes again. So nothing is lost and nothing doubles, whenever the process dies.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from portal.core import settings
from portal.core.database import transaction
from portal.messages.lines import read_line
from portal.messages.quarantine import set_aside
from portal.messages.spool import spool_of
from portal.messages.store import store_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portal.messages.lines import WaitingRecord
    from portal.messages.spool_protocol import Line


@dataclass(slots=True)
class Flushed:
    """What a flush did, in records. `dropped`: of users of whom nothing is kept any more."""

    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    dropped: int = 0

    def __str__(self) -> str:
        words = f"stored {self.stored}, duplicate {self.duplicates}, quarantined {self.quarantined}"
        return f"{words}, dropped {self.dropped}" if self.dropped else words


def flush() -> Flushed:
    """Store everything that waits in the spool for this host. Raises Unavailable, SQLAlchemyError."""
    now = settings.current()
    spool, done = spool_of(now), Flushed()
    with closing(cast("Any", spool.batches(now.flush_rows, now.flush_max_bytes))) as batches:
        for batch in batches:
            one = Flushed()
            with transaction():
                store_lines(batch.lines, one)
                spool.remember(batch)
            done.stored, done.duplicates = done.stored + one.stored, done.duplicates + one.duplicates
            done.quarantined, done.dropped = done.quarantined + one.quarantined, done.dropped + one.dropped
            spool.trim(batch)
    return done


def waiting_bytes() -> int:
    """Bytes in the spool that are not stored yet, as far as this host knows. Raises Unavailable."""
    return spool_of(settings.current()).waiting()


def store_lines(lines: Sequence[Line], done: Flushed) -> None:
    """Store the records of these lines, and set aside with its reason what is none or cannot be stored."""
    records: list[WaitingRecord] = []
    keys: dict[int, str] = {}
    for line in lines:
        found = read_line(line)
        if isinstance(found, str):
            done.quarantined += set_aside(line.key, line.raw, found)
        else:
            records.append(found)
            keys[id(found)] = line.key
    outcome = store_records(records)
    for record, reason in outcome.bad:
        done.quarantined += set_aside(keys[id(record)], record, reason)
    done.stored += outcome.stored
    done.duplicates += outcome.duplicates
    done.dropped += outcome.dropped
