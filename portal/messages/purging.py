"""Purging message logs: the words by the content clock, the rest by the metadata clock, a small batch at a time.

Each batch is a transaction of its own: a run that is killed loses nothing but its last batch, and the next one finds
by the rows themselves what is left to do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import Integer, case, delete, exists, func, null, or_, select, update

from portal.core import clock
from portal.core.database import db, dialect_name, transaction, writing_connection
from portal.messages.clocks import clocks_at, with_owners
from portal.messages.models import (
    ContentOpening,
    Conversation,
    MessageContent,
    MessageLog,
    QuarantinedRecord,
    SealedContent,
)
from portal.messages.purged_quarantine import purge_quarantine
from portal.messages.searching import drop_words
from portal.messages.store import ONE_STORES
from portal.messages.titles import rename_talks
from portal.work.runs import tell_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from sqlalchemy import ColumnElement

# Rows of one transaction: whoever waits for the writer waits for so many.
BATCH = 200
# Rows looked at by one statement, so that none takes long, however many are kept.
WINDOW = 5_000
LONGEST_PAUSE_S = 0.2
# So long a run puts the index together after it took words out of it; the next goes on.
MERGE_S = 5.0
PURGE_JOB = "purge_message_logs"


@dataclass(slots=True)
class Purged:
    """What a run took away: the words of logs, whole logs, lines in quarantine, and openings that are over."""

    words: int = 0
    logs: int = 0
    quarantined: int = 0
    openings: int = 0

    def __str__(self) -> str:
        return (
            f"purged the words of {self.words}, whole logs {self.logs}, quarantined {self.quarantined},"
            f" openings {self.openings}"
        )


def purge_message_logs() -> Purged:
    """Take away what is past its clock now, by what users choose and plans allow at this moment.

    Between two batches it rests as long as the last one took, so that others get the writer's place.
    """
    done = Purged()
    for low, high in _windows():
        for numbers in _due_in(low, high):
            began = clock.monotonic()
            with transaction():
                _hold_store()
                # Asked again with the writer's place held: somebody may have chosen to keep them, or sealed them.
                due = _due(MessageLog.number.in_(numbers))
                words = [number for number, whole in due if not whole]
                logs = [number for number, whole in due if whole]
                _take_words(words)
                _take_logs(logs)
                done.words += len(words)
                done.logs += len(logs)
                tell_progress(str(done))
            _rest(began)
    if done.words or done.logs:
        _forget_struck()
    done.quarantined = purge_quarantine()
    done.openings = _drop_openings()
    return done


def purge_logs_of(user_id: UUID) -> int:
    """Take away every log of a user with all that hangs on it, in batches. Answers how many there were."""
    count = 0
    while True:
        numbers = list(db.session.scalars(select(MessageLog.number).where(MessageLog.user_id == user_id).limit(BATCH)))
        if not numbers:
            break
        began = clock.monotonic()
        with transaction():
            _hold_store()
            _take_logs(numbers)
        count += len(numbers)
        _rest(began)
    with transaction():
        for table in (Conversation, QuarantinedRecord, ContentOpening):
            db.session.execute(delete(table).where(table.user_id == user_id))
    return count


def overdue_logs() -> int:
    """How many of the oldest WINDOW logs wait for the purge, counted up to BATCH: 0 soon after each run."""
    high = next(_windows(), None)
    return len(_due(MessageLog.number <= high[1])) if high else 0


def _windows() -> Iterator[tuple[int, int]]:
    """All logs in pieces: numbers above the first and up to the second."""
    low = 0
    while True:
        above = select(MessageLog.number).where(MessageLog.number > low).order_by(MessageLog.number)
        high = db.session.scalar(above.offset(WINDOW - 1).limit(1))
        if high is None:
            high = db.session.scalar(select(func.max(MessageLog.number)).where(MessageLog.number > low))
        if high is None:
            return
        yield low, high
        low = high


def _due_in(low: int, high: int) -> Iterator[list[int]]:
    """The numbers of a window that are due, a batch at a time."""
    while True:
        due = _due(MessageLog.number > low, MessageLog.number <= high)
        if not due:
            return
        yield [number for number, _ in due]
        low = due[-1][0]


def _due(*among: ColumnElement[bool]) -> list[tuple[int, bool]]:
    """Up to BATCH logs of which something is due: (number, whether all of it is)."""
    content, whole = clocks_at(clock.now())
    query = select(MessageLog.number, case((whole, 1), else_=0).cast(Integer)).where(*among, or_(content, whole))
    rows = db.session.execute(with_owners(query).order_by(MessageLog.number).limit(BATCH))
    return [(number, bool(all_of_it)) for number, all_of_it in rows]


def _hold_store() -> None:
    """Let nobody store or purge beside this transaction: a conversation that is dropped as empty must stay so."""
    connection = writing_connection()
    if isinstance(connection, psycopg.Connection):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_STORES])
    else:
        # What is deleted is overwritten with zeros, whatever way this SQLite was built.
        connection.execute("PRAGMA secure_delete = ON")


def _take_words(numbers: Sequence[int]) -> None:
    """Take away what was said in these logs, and what was made of it; in the caller's transaction."""
    if not numbers:
        return
    _drop_contents(numbers)
    emptied: dict[str, Any] = {"digest": b"", "extra": null()}
    db.session.execute(
        update(MessageLog)
        .where(MessageLog.number.in_(numbers))
        .values(emptied)
        .execution_options(synchronize_session=False)
    )
    rename_talks(
        db.session.scalars(select(MessageLog.conversation_id).where(MessageLog.number.in_(numbers)).distinct()).all()
    )


def _take_logs(numbers: Sequence[int]) -> None:
    """Take away these logs and conversations left empty; in the caller's transaction."""
    if not numbers:
        return
    lost = dict(
        db.session.execute(
            select(MessageLog.conversation_id, func.count())
            .where(MessageLog.number.in_(numbers))
            .group_by(MessageLog.conversation_id)
        ).all()
    )
    _drop_contents(numbers)
    db.session.execute(
        delete(MessageLog).where(MessageLog.number.in_(numbers)).execution_options(synchronize_session=False)
    )
    empty = delete(Conversation).where(
        Conversation.id.in_(lost), ~exists().where(MessageLog.conversation_id == Conversation.id)
    )
    db.session.execute(empty.execution_options(synchronize_session=False))
    fewer = case(lost, value=Conversation.id, else_=0)
    left = update(Conversation).where(Conversation.id.in_(lost)).values(exchanges=Conversation.exchanges - fewer)
    db.session.execute(left.execution_options(synchronize_session=False))
    rename_talks(list(lost))


def _drop_contents(numbers: Sequence[int]) -> None:
    """Words go out of the index first, which finds its entries by them."""
    said = select(MessageContent.number, MessageContent.user_id, MessageContent.messages)
    drop_words(list(db.session.execute(said.where(MessageContent.number.in_(numbers))).all()))
    for table in (MessageContent, SealedContent):
        db.session.execute(delete(table).where(table.number.in_(numbers)).execution_options(synchronize_session=False))


def _forget_struck() -> None:
    """Put the pieces of SQLite's index together, for a while: words taken out stand in old pieces, struck out."""
    if dialect_name() != "sqlite":
        return
    until = clock.monotonic() + MERGE_S
    while clock.monotonic() < until:
        began = clock.monotonic()
        with transaction():
            connection = writing_connection()
            before = connection.total_changes
            connection.execute("INSERT INTO message_search (message_search, rank) VALUES ('merge', -200)")
            changed = connection.total_changes - before
        if changed < 2:  # the statement itself is one
            return
        _rest(began)


def _drop_openings() -> int:
    """Forget openings that are over; that they were, and why, stands in the audit log."""
    count = 0
    while True:
        with transaction():
            over = select(ContentOpening.id).where(ContentOpening.until <= clock.now()).limit(BATCH)
            ids = db.session.scalars(over).all()
            db.session.execute(delete(ContentOpening).where(ContentOpening.id.in_(ids)))
        count += len(ids)
        if len(ids) < BATCH:
            return count


def _rest(began: float) -> None:
    time.sleep(min(clock.monotonic() - began, LONGEST_PAUSE_S))
