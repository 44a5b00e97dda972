"""What a restore does once the rows are in and the database is up to date: keys, sessions, the index of words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import CursorResult, Select, delete, func, inspect, literal, null, select, text, union_all, update

from portal.accounts.models import Account, OneTimeLink
from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.record import record
from portal.backup.archive import BackupRefused
from portal.backup.columns import KEYS, read_tables
from portal.backup.loading import load_part
from portal.clients.models import ServiceClient
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.data_keys import DataKey, check_encryption_keys
from portal.core.database import db, dialect_name
from portal.core.settings import BadSetting
from portal.messages.models import (
    Conversation,
    MessageContent,
    MessageLog,
    QuarantinedRecord,
    SealedContent,
)
from portal.messages.searching import index_words
from portal.signin.models import SignInSession
from portal.usage.credits import find_drift
from portal.work.models import LongWork

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Delete, Update

    from portal.backup.archive import Archive
    from portal.core.actor import Actor
    from portal.usage.credits import Drift

# So many contents at a time go into the index: at most 256 KiB each.
_BATCH: Final = 10
# What only people and their machines leave behind; a database that merely stood there has none of it.
_SIGNS: Final = (Account, ServiceClient, AuditEntry, MessageLog)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and what was not. `erased`: logs whose content could not come back without its key."""

    rows: int
    keys: int
    erased: int
    sessions_ended: int
    drift: Drift


def holds_anything() -> bool:
    """Whether this database holds what a restore would replace. It may be of any revision, or have no table yet."""
    there = set(inspect(db.session.connection()).get_table_names())
    return any(
        db.session.execute(select(literal(1)).select_from(sign.__table__).limit(1)).first() is not None
        for sign in _SIGNS
        if sign.__tablename__ in there
    )


def holds_sealed() -> bool:
    """Whether anything in this database was sealed under a data key."""
    sealed: tuple[Select[Any], ...] = (
        select(SealedContent.number),
        select(Conversation.id).where(Conversation.sealed_title.is_not(None)),
        select(QuarantinedRecord.id).where(QuarantinedRecord.sealed.is_not(None)),
    )
    return any(db.session.execute(query.limit(1)).first() is not None for query in sealed)


@needs(Capability.BACKUP)
def finish_restore(actor: Actor, *, rows: int, keys: Archive | None, without_keys: bool = False) -> Restored:
    """Bring in the data keys, erase what they do not open, end all sessions and one-time links, index the words.

    Raises BackupRefused when something is sealed and neither a key file was given nor leave to do without, and when
    ENCRYPTION_KEYS are not those that sealed it: Doorward would not start with them.
    """
    if keys is None and not without_keys and holds_sealed():
        raise BackupRefused("the backup holds sealed content: give the newest key file with --keys, or --without-keys")
    loaded = _load_keys(keys) if keys else 0
    try:
        check_encryption_keys(leave=False)
    except BadSetting as error:
        raise BackupRefused(f"{error}; nothing was changed") from None
    erased = _erase_keyless()
    ended = _end_what_is_open()
    _index_again()
    record(actor, events.BACKUP_RESTORED, None, {"rows": rows})
    return Restored(rows, loaded, erased, ended, find_drift())


def _load_keys(archive: Archive) -> int:
    """The keys of those users who are here; the key file may be newer than the backup and know more."""
    if archive.manifest.part(KEYS) is None:
        raise BackupRefused(f"{archive.path.name} is no key file")
    table = next(table for table in read_tables(db.session.connection()) if table.name == KEYS)
    return load_part(archive, table, only=(user_id.hex for user_id in db.session.scalars(select(Account.id))))


def _erase_keyless() -> int:
    """Delete the content that no living key opens, and all content of users whose key was destroyed since."""
    living = select(DataKey.user_id).where(DataKey.destroyed_at.is_(None))
    destroyed = select(DataKey.user_id).where(DataKey.destroyed_at.is_not(None))
    dead_logs = select(MessageLog.number).where(MessageLog.user_id.not_in(living))
    gone = union_all(
        select(SealedContent.number).where(SealedContent.number.in_(dead_logs)),
        select(MessageContent.number).where(MessageContent.user_id.in_(destroyed)),
    ).subquery()
    erased = db.session.scalar(select(func.count(func.distinct(gone.c.number)))) or 0
    _change(
        update(MessageLog)
        .where(MessageLog.number.in_(select(gone.c.number)) | MessageLog.user_id.in_(destroyed))
        .values(digest=b"", extra=null())
    )
    _change(delete(SealedContent).where(SealedContent.number.in_(dead_logs)))
    _change(delete(MessageContent).where(MessageContent.user_id.in_(destroyed)))
    _change(
        update(Conversation)
        .where(Conversation.sealed_title.is_not(None), Conversation.user_id.not_in(living))
        .values(sealed_title=None, title="")
    )
    _change(update(Conversation).where(Conversation.user_id.in_(destroyed)).values(sealed_title=None, title=""))
    _change(
        delete(QuarantinedRecord).where(
            QuarantinedRecord.user_id.in_(destroyed)
            | (
                QuarantinedRecord.sealed.is_not(None)
                & (QuarantinedRecord.user_id.is_(None) | QuarantinedRecord.user_id.not_in(living))
            )
        )
    )
    return erased


def _end_what_is_open() -> int:
    """End every session and one-time link, and the long works of before with their files. Answers how many sessions.

    What was revoked after the backup would live again otherwise.
    """
    now = clock.now()
    _change(delete(OneTimeLink))
    _change(update(LongWork).values(file=None, link_digest=None, expires_at=None))
    _change(
        update(LongWork)
        .where(LongWork.state.in_(("waiting", "running")))
        .values(state="failed", finished_at=now, held_until=None)
    )
    return _change(update(SignInSession).where(SignInSession.ended_at.is_(None)).values(ended_at=now))


def _change(statement: Delete | Update) -> int:
    done = db.session.execute(statement.execution_options(synchronize_session=False))
    return done.rowcount if isinstance(done, CursorResult) else 0


def _index_again() -> None:
    """The index of words, new from what is kept. PostgreSQL has its own."""
    if dialect_name() != "sqlite":
        return
    db.session.execute(text("INSERT INTO message_search (message_search) VALUES ('delete-all')"))
    last = 0
    while True:
        query = select(MessageContent.number, MessageContent.user_id, MessageContent.messages)
        query = query.where(MessageContent.number > last).order_by(MessageContent.number).limit(_BATCH)
        rows = db.session.execute(query)
        said: list[tuple[int, UUID, list[dict[str, Any]]]] = [(row[0], row[1], row[2]) for row in rows]
        if not said:
            return
        index_words(said)
        last = said[-1][0]
