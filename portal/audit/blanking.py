"""What the purge of a user does to the audit log: what is personal goes, and the chain stays whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select, update

from portal.audit.archive import blank_files
from portal.audit.chain import blank, personal_parts
from portal.audit.models import AuditEntry
from portal.audit.sealing import lock_head
from portal.core.database import db, transaction

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

BATCH = 200
_TABLE: Any = AuditEntry.__table__


def blank_entries_of(user_id: UUID, things: Collection[UUID] = ()) -> None:
    """Take what is personal out of all entries by, for and about a user, and about `things` that are theirs.

    A batch in each transaction, then the files of old entries; safe to repeat. That they were purged must be recorded
    too (ACCOUNT_PURGED): verify accepts no blank entry without it. Raises SQLAlchemyError, OSError.
    """
    ids = [user_id, *things]
    theirs = or_(_TABLE.c.actor_id == user_id, _TABLE.c.on_behalf_of == user_id, _TABLE.c.target_id.in_(ids))
    last = None
    while True:
        with transaction():
            last = _blank_batch(user_id, theirs, last)
        if last is None:
            break
    known = set(ids)
    blank_files(
        user_id,
        lambda row: user_id in (row["actor_id"], row["on_behalf_of"]) or row["target_id"] in known,
    )


def _blank_batch(user_id: UUID, theirs: Any, last: UUID | None) -> UUID | None:
    """Blank the next entries after this one; answers the last of them, None when there were no more."""
    lock_head()  # what the sealer reads and chains is not blanked in between
    query = select(_TABLE).where(theirs).order_by(_TABLE.c.id).limit(BATCH)
    rows = db.session.execute(query if last is None else query.where(_TABLE.c.id > last)).mappings().all()
    for row in map(dict, rows):
        if row["purged_of"] is not None:
            continue
        sealed = row["seq"] is not None
        values = blank(row, row["personal"] if sealed else personal_parts(row))
        if sealed:
            values["purged_of"] = user_id
        db.session.connection().execute(update(_TABLE).where(_TABLE.c.id == row["id"]).values(values))
    return rows[-1]["id"] if rows else None
