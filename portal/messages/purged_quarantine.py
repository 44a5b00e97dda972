"""The clocks of what was set aside: its words go with the content clock, the line with that of the metadata.

They run from when it was set aside, for the line itself may be too damaged to say when it was received.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import delete, select, tuple_, update

from portal.core import clock
from portal.core.crypto import BadSeal
from portal.core.database import db, transaction
from portal.messages.keeping import keeping_by, kept_of
from portal.messages.models import QuarantinedRecord
from portal.messages.quarantine import without_said
from portal.messages.sealing import open_quarantined

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = 200


def purge_quarantine() -> int:
    """Take away what is past its clock, in batches. Answers how many lines went, or lost their words."""
    count = 0
    after: tuple[datetime, UUID] | None = None
    while True:
        query = select(QuarantinedRecord).order_by(QuarantinedRecord.at, QuarantinedRecord.id).limit(BATCH)
        if after is not None:
            query = query.where(tuple_(QuarantinedRecord.at, QuarantinedRecord.id) > tuple_(*after))
        rows = db.session.scalars(query).all()
        if not rows:
            return count
        after = (rows[-1].at, rows[-1].id)
        with transaction():  # a batch at a time: nobody waits long for the writer
            count += _purge(rows)


def _purge(rows: Sequence[QuarantinedRecord]) -> int:
    kept = kept_of(row.user_id for row in rows if row.user_id)
    # Whose it is nobody knows: then nobody chose, and no plan says anything.
    nobodys = keeping_by("plan", None)
    count = 0
    for row in rows:
        keeping = kept.get(row.user_id, nobodys) if row.user_id else nobodys
        if _is_over(row.at, keeping.metadata_days):
            db.session.execute(delete(QuarantinedRecord).where(QuarantinedRecord.id == row.id))
            count += 1
        elif _is_over(row.at, keeping.content_days):
            count += _strip(row)
    return count


def _is_over(at: datetime, days: int | None) -> bool:
    return days is None or clock.now() - at >= timedelta(days=min(days, 1_000_000))


def _strip(row: QuarantinedRecord) -> bool:
    """Take the words out of a line. False when there are none. One that cannot be read is dropped as it is."""
    try:
        line = row.line if row.sealed is None else open_quarantined(row.user_id, row.id, row.sealed)
    except BadSeal:
        line = None
    bare = without_said((line or "").encode())
    same = QuarantinedRecord.id == row.id
    if not bare:
        db.session.execute(delete(QuarantinedRecord).where(same))
        return True
    if bare == row.line:
        return False
    db.session.execute(update(QuarantinedRecord).where(same).values(line=bare, sealed=None))
    return True
