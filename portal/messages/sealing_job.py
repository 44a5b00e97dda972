"""Sealing what was kept before sealing was switched on: a batch at a time, from the oldest, whenever it is ended.

A batch seals the words of some logs, what their clients added, and the titles of their conversations, and takes their
entries out of the index of words, all in one transaction. Nothing has to be remembered: what lies open is what is left.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import delete, func, null, select, text, update

from portal.accounts.models import User
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import job_actor
from portal.core.crypto import BadSeal
from portal.core.data_keys import held_keys, is_destroyed
from portal.core.database import db, dialect_name, transaction, writing_connection
from portal.messages.bulk_rows import write_rows
from portal.messages.models import Conversation, MessageContent, MessageLog, QuarantinedRecord, SealedContent
from portal.messages.sealing import seal_content, seal_quarantined, seal_title, sealing_on
from portal.messages.searching import drop_words
from portal.messages.store import ONE_STORES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

NAME = "seal_message_logs"
BATCH = 200
# Between two batches others write; after so long the job ends, and goes on at its next turn.
PAUSE_S = 0.01
RUN_S = 5.0
# Rows looked at in one step of the last look over all.
LOOK = 2_000


@dataclass(slots=True)
class Sealed:
    """What a run did. `left`: logs that may lie open still, at most; `stuck`: those whose user's key is not here."""

    logs: int = 0
    titles: int = 0
    lines: int = 0
    stuck: int = 0
    left: int = 0

    def __str__(self) -> str:
        words = f"sealed {self.logs} logs, {self.titles} titles, {self.lines} lines"
        words += f", at most {self.left} logs left" if self.left else ""
        return words + (f", {self.stuck} lack a key" if self.stuck else "")


def lies_open() -> bool:
    """Whether anything is kept unsealed although sealing is on."""
    if not sealing_on():
        return False
    logs = select(MessageContent.number).order_by(MessageContent.number)  # by its index: deleted rows stay about
    lines = select(QuarantinedRecord.id).where(QuarantinedRecord.line.is_not(None))
    return any(db.session.execute(query.limit(1)).first() is not None for query in (logs, lines))


def open_logs() -> int:
    """How many logs may lie open, at most: told by the numbers of the first and the last, not by counting."""
    first, last = db.session.execute(select(func.min(MessageContent.number), func.max(MessageContent.number))).one()
    return last - first + 1 if last else 0


def seal_message_logs() -> Sealed:
    """Seal what lies open, for a few seconds. Raises SQLAlchemyError."""
    done = Sealed()
    if not lies_open():
        return done
    until = clock.monotonic() + RUN_S
    _seal_lines(done)
    reached = 0
    while True:
        at = db.session.scalars(
            select(MessageContent.number)
            .where(MessageContent.number > reached)
            .order_by(MessageContent.number)
            .limit(BATCH + 1)
        ).all()
        if not at:
            break
        ending = len(at) <= BATCH
        if ending:  # before the last batch: a job that is killed here is begun again for it
            _seal_titles_left(done)
        with transaction():
            _seal_logs(reached, done)
            if ending:
                _forget_index()
        if ending or clock.monotonic() >= until:
            break
        reached = at[BATCH - 1]
        time.sleep(PAUSE_S)
    if dialect_name() == "sqlite" and not lies_open():
        db.session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    done.left = open_logs()
    return done


def _begin() -> None:
    """A writing transaction in which nobody stores logs: titles are written by both."""
    connection = writing_connection()
    if isinstance(connection, psycopg.Connection):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_STORES])
    else:
        # What is deleted is overwritten with zeros, whatever way this SQLite was built.
        connection.execute("PRAGMA secure_delete = ON")


def _seal_logs(last: int, done: Sealed) -> None:
    """Seal one batch of the logs after this number, in the transaction at hand."""
    _begin()
    query = (
        select(
            MessageContent.number,
            MessageContent.user_id,
            MessageContent.messages,
            MessageLog.id,
            MessageLog.extra,
            MessageLog.conversation_id,
        )
        .join(MessageLog, MessageLog.number == MessageContent.number)
        .where(MessageContent.number > last)
        .order_by(MessageContent.number)
        .limit(BATCH)
        .with_for_update(of=MessageContent)
    )
    rows = db.session.execute(query).all()
    with held_keys(row.user_id for row in rows):
        sealed, erased, stuck = _seal_rows(rows)
        kept = {number for number, _ in sealed} | erased
        drop_words([(row.number, row.user_id, row.messages) for row in rows if row.number in kept])
        write_rows(SealedContent, ("number", "sealed"), sealed)
        _change(delete(MessageContent).where(MessageContent.number.in_(kept)))
        mine = update(MessageLog).where(MessageLog.number.in_(kept), MessageLog.extra.is_not(None))
        _change(mine.values(extra=null()))
        _change(update(MessageLog).where(MessageLog.number.in_(erased)).values(digest=b""))
        done.titles += _seal_titles([row.conversation_id for row in rows])
    done.logs += len(kept)
    done.stuck += stuck


def _seal_rows(rows: Sequence[Any]) -> tuple[list[tuple[int, bytes]], set[int], int]:
    """(numbers with what is sealed, numbers of which nothing may be kept, how many cannot be sealed just now)."""
    sealed: list[tuple[int, bytes]] = []
    erased, stuck = set(), 0
    for row in rows:
        try:
            content = {"messages": row.messages, "extra": row.extra}
            sealed.append((row.number, seal_content(row.user_id, row.id, content)))
        except BadSeal:
            if is_destroyed(row.user_id):
                erased.add(row.number)
            else:
                stuck += 1
    return sealed, erased, stuck


def _seal_titles(ids: Sequence[UUID]) -> int:
    query = select(Conversation.id, Conversation.user_id, Conversation.title)
    done = 0
    for row in db.session.execute(query.where(Conversation.id.in_(ids), Conversation.title != "")).all():
        try:
            sealed = seal_title(row.user_id, row.id, row.title)
        except BadSeal:
            if not is_destroyed(row.user_id):
                continue
            sealed = None
        _change(update(Conversation).where(Conversation.id == row.id).values(title="", sealed_title=sealed))
        done += 1
    return done


def _seal_lines(done: Sealed) -> None:
    """Seal the lines set aside. There are few."""
    last = None
    while True:
        with transaction():
            _begin()
            query = select(QuarantinedRecord.id, QuarantinedRecord.user_id, QuarantinedRecord.line)
            query = query.where(QuarantinedRecord.line.is_not(None)).order_by(QuarantinedRecord.id).limit(BATCH)
            query = query.with_for_update()
            rows = db.session.execute(query.where(QuarantinedRecord.id > last) if last else query).all()
            for row in rows:
                _seal_line(row.id, row.user_id, row.line, done)
        if not rows:
            return
        last = rows[-1].id


def _seal_line(record_id: UUID, user_id: UUID | None, line: str, done: Sealed) -> None:
    known = db.session.get(User, user_id) is not None if user_id else False
    here = QuarantinedRecord.id == record_id
    try:
        sealed = seal_quarantined(user_id if known else None, record_id, line)
    except BadSeal:
        if user_id is None or not is_destroyed(user_id):
            done.stuck += 1
            return
        _change(delete(QuarantinedRecord).where(here))
    else:
        _change(update(QuarantinedRecord).where(here).values(line=None, sealed=sealed))
    done.lines += 1


def _forget_index() -> None:
    """When the last of them is sealed, leave nothing in the index: an entry taken out is in there, struck out."""
    if db.session.execute(select(MessageContent.number).limit(1)).first() is not None:
        return
    if dialect_name() == "sqlite":
        db.session.execute(text("INSERT INTO message_search (message_search) VALUES ('delete-all')"))
    count = db.session.scalar(select(func.count()).select_from(SealedContent))
    record(job_actor(NAME), events.MESSAGES_SEALED, None, {"count": count})


def _seal_titles_left(done: Sealed) -> None:
    """Seal the titles of conversations of whose logs no words are kept any more."""
    last: UUID | None = None
    while True:
        with transaction():
            look = select(Conversation.id).order_by(Conversation.id).limit(LOOK)
            ids = db.session.scalars(look.where(Conversation.id > last) if last else look).all()
            bare = select(Conversation.id).where(Conversation.id.in_(ids), Conversation.title != "").limit(1)
            if ids and db.session.scalar(bare) is not None:
                _begin()
                with held_keys():
                    done.titles += _seal_titles(ids)
        if not ids:
            return
        last = ids[-1]


def _change(statement: Any) -> None:
    db.session.execute(statement.execution_options(synchronize_session=False))
