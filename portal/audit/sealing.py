"""The sealer: gives entries their place in the chain, after the acts that wrote them. Only it moves the chain's end.

An act inserts its entry and waits for nobody; a job takes what is there by now, in the order of its instants, numbers
it and chains it. The row of the end is locked meanwhile: of any number of sealers one is at work.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from portal.audit.chain import commit, digest_of
from portal.audit.models import AuditEntry, AuditHead
from portal.core import clock
from portal.core.database import db, transaction

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

SEAL_JOB = "seal_audit"
BATCH = 500
# Between two batches others write.
PAUSE_S = 0.005
_TABLE: Any = AuditEntry.__table__
_WAITING = select(_TABLE).where(_TABLE.c.seq.is_(None)).order_by(_TABLE.c.at, _TABLE.c.id)
_CHAINED = ("seq", "digest", "personal", "salt", "personal_digest")
_PLACE = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("entry_id"))
    .values({_TABLE.c[name]: bindparam(f"new_{name}") for name in _CHAINED})
)


class HeadLost(Exception):
    """The row that holds the end of the chain is gone: nothing is sealed any more until somebody has looked."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: the number of its last entry, 0 for none, and that one's digest."""

    seq: int
    digest: bytes


def entries_wait() -> bool:
    """Whether there is an entry to seal."""
    return db.session.execute(select(_TABLE.c.id).where(_TABLE.c.seq.is_(None)).limit(1)).first() is not None


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry that is not sealed yet."""

    id: UUID
    at: datetime


def oldest_waiting() -> Waiting | None:
    """The oldest entry that waits for its seal."""
    query = select(_TABLE.c.id, _TABLE.c.at).where(_TABLE.c.seq.is_(None)).order_by(_TABLE.c.at, _TABLE.c.id)
    row = db.session.execute(query.limit(1)).first()
    return Waiting(row.id, row.at) if row else None


def present_head() -> Head:
    """The end of the chain as it is. Raises HeadLost."""
    row = db.session.execute(select(AuditHead.seq, AuditHead.digest)).first()
    if row is None:
        raise HeadLost
    return Head(row.seq, row.digest)


def lock_head() -> Head:
    """The end of the chain, which nobody else moves until the transaction at hand is over. Raises HeadLost."""
    row = db.session.execute(
        update(AuditHead)
        .values(sealed_at=clock.now())
        .returning(AuditHead.seq, AuditHead.digest)
        .execution_options(synchronize_session=False)
    ).first()
    if row is None:
        raise HeadLost
    return Head(row.seq, row.digest)


def seal_entries() -> int:
    """Seal all that waits, a batch in each transaction. Answers how many were. Raises HeadLost, SQLAlchemyError."""
    sealed = 0
    while True:
        with transaction():
            batch = seal_batch()
        sealed += batch
        if batch < BATCH:
            return sealed
        time.sleep(PAUSE_S)


def seal_batch() -> int:
    """Seal the oldest of what waits, at most BATCH, in the transaction at hand. Answers how many were."""
    head = lock_head()
    seq, digest = head.seq, head.digest
    placed = []
    for row in db.session.execute(_WAITING.limit(BATCH)).mappings():
        entry = dict(row)
        commit(entry)
        seq += 1
        digest = entry["digest"] = digest_of(digest, seq, entry)
        entry["seq"] = seq
        placed.append({"entry_id": entry["id"], **{f"new_{name}": entry[name] for name in _CHAINED}})
    if placed:
        connection = db.session.connection()
        connection.execute(_PLACE, placed)
        connection.execute(update(AuditHead).values(seq=seq, digest=digest))
    return len(placed)
