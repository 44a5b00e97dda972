"""Storing records: each once, its words apart and only where they are kept, sealed when sealing is on.

The flush and the demo store here, in transactions of their own. One at a time in a database: so what is known
stays known until the commit, and only what was really inserted is counted.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
from sqlalchemy.exc import DataError, IntegrityError

from portal.core.crypto import BadSeal
from portal.core.data_keys import held_keys, is_destroyed
from portal.core.database import db, raw_id, writing_connection
from portal.messages.bulk_rows import write_rows
from portal.messages.grouping import conversation_ids, count_models, key_of, model_ids
from portal.messages.keeping import kept_of
from portal.messages.lines import WaitingRecord, total_of
from portal.messages.models import MessageContent, MessageLog, SealedContent
from portal.messages.sealing import open_words, seal_content, sealing_on
from portal.messages.searching import index_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

# The flushers of one PostgreSQL wait for each other by this number; SQLite has one writer anyway.
ONE_STORES = 0x646F6F72
# What a single record may be guilty of. Everything else is a fault of the database, and the record waits.
POISON: tuple[type[Exception], ...] = (
    ValueError,
    TypeError,
    OverflowError,
    DataError,
    IntegrityError,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,  # more words than a search entry can hold
)
LOG = (
    "number",
    "id",
    "client_id",
    "source_id",
    "digest",
    "user_id",
    "conversation_id",
    "model_id",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "latency_ms",
    "at",
    "received_at",
    "extra",
)
KNOWN_SQLITE = """SELECT source_id, digest FROM message_logs
    WHERE client_id = :client AND source_id IN (SELECT value FROM json_each(:sources))"""
KNOWN_POSTGRES = (
    "SELECT source_id, digest FROM message_logs WHERE client_id = %(client)s AND source_id = ANY(%(sources)s)"
)
NUMBERS = """SELECT nextval(pg_get_serial_sequence('message_logs', 'number')) FROM generate_series(1, %(count)s)"""


@dataclass(slots=True)
class Outcome:
    """What became of records. `bad` could not be stored, and why; `dropped` are of users of whom nothing is kept."""

    stored: int = 0
    duplicates: int = 0
    dropped: int = 0
    bad: list[tuple[WaitingRecord, str]] = field(default_factory=list)


def store_records(records: Sequence[WaitingRecord]) -> Outcome:
    """Store them in the transaction at hand; when one cannot be, each is tried alone. Raises SQLAlchemyError."""
    done = Outcome()
    if not records:
        return done
    connection = writing_connection()
    if isinstance(connection, psycopg.Connection):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_STORES])
    with _keys_of(records):
        fresh = _drop_known(_with_words(records, done), done)
        if fresh:
            _insert_all(fresh, done)
    return done


@contextmanager
def _keys_of(records: Sequence[WaitingRecord]) -> Iterator[None]:
    if sealing_on() or any(record.sealed for record in records):
        with held_keys(record.user_id for record in records):
            yield
    else:
        yield


def _with_words(records: Sequence[WaitingRecord], done: Outcome) -> list[WaitingRecord]:
    """Those of which something is kept, with their words opened or taken away, by what their users choose now."""
    kept = kept_of(record.user_id for record in records)
    found = []
    for record in records:
        keeping = kept.get(record.user_id)
        if keeping is None:
            done.bad.append((without_words(record), "no such user"))
        elif keeping.metadata_days is None:
            done.dropped += 1
        elif keeping.content_days is None:
            found.append(without_words(record))
        elif record.sealed is None or _open(record, done):
            found.append(record)
    return found


def _open(record: WaitingRecord, done: Outcome) -> bool:
    try:
        words = open_words(record.user_id, record.log_id, record.sealed or "")
    except BadSeal:
        if is_destroyed(record.user_id):
            done.dropped += 1
        else:
            done.bad.append((record, "its words cannot be opened"))
        return False
    record.messages, record.extra, record.sealed = words["messages"], words["extra"], None
    return True


def without_words(record: WaitingRecord) -> WaitingRecord:
    """The record, with nothing left of what was said."""
    record.messages, record.extra, record.sealed = [], None, None
    return record


def _drop_known(records: list[WaitingRecord], done: Outcome) -> list[WaitingRecord]:
    """Leave out what the database holds already; a twin that differs is bad. An empty digest is like any."""
    known = _known(records)
    fresh = []
    for record in records:
        key, digest = (record.client_id, record.source_id), bytes.fromhex(record.digest)
        twin = known.get(key)
        if twin is None:
            known[key] = digest
            fresh.append(record)
        elif twin in {digest, b""}:
            done.duplicates += 1
        else:
            done.bad.append((record, "another record has this id"))
    return fresh


def _known(records: list[WaitingRecord]) -> dict[tuple[UUID, str], bytes]:
    sources: dict[UUID, list[str]] = {}
    for record in records:
        sources.setdefault(record.client_id, []).append(record.source_id)
    connection = writing_connection()
    known: dict[tuple[UUID, str], bytes] = {}
    for client, ids in sources.items():
        if isinstance(connection, psycopg.Connection):
            rows = connection.execute(KNOWN_POSTGRES, {"client": client, "sources": ids})
        else:
            rows = connection.execute(KNOWN_SQLITE, {"client": raw_id(client), "sources": json.dumps(ids)})
        known |= {(client, source_id): bytes(digest) for source_id, digest in rows.fetchall()}
    return known


def _insert_all(fresh: list[WaitingRecord], done: Outcome) -> None:
    try:
        with db.session.begin_nested():
            _insert(fresh)
    except POISON as fault:
        if len(fresh) == 1:
            done.bad.append((fresh[0], f"cannot be stored: {type(fault).__name__}"))
            return
        for record in fresh:
            _insert_all([record], done)
    else:
        done.stored += len(fresh)


def _insert(records: list[WaitingRecord]) -> None:
    models = model_ids({record.model for record in records if record.model})
    conversations = conversation_ids(records)
    numbers = _numbers(len(records))
    sealing = sealing_on()
    logs, contents, sealed, said = [], [], [], []
    for number, record in zip(numbers, records, strict=True):
        logs.append(_log(number, record, conversations[key_of(record)], models.get(record.model), sealing=sealing))
        if not record.messages:
            continue
        if sealing:
            words = {"messages": record.messages, "extra": record.extra}
            sealed.append((number, seal_content(record.user_id, record.log_id, words)))
            continue
        contents.append((number, record.user_id, orjson.dumps(record.messages).decode()))
        said.append((number, record.user_id, record.messages))
    write_rows(MessageLog, LOG, logs)
    write_rows(MessageContent, ("number", "user_id", "messages"), contents)
    write_rows(SealedContent, ("number", "sealed"), sealed)
    index_words(said)
    count_models(records)


def _log(
    number: int, record: WaitingRecord, conversation_id: UUID, model_id: int | None, *, sealing: bool
) -> tuple[Any, ...]:
    """A row of message_logs, in the order of LOG. Where no words are kept, nothing that was made of them is."""
    tokens = record.tokens
    plain = record.extra is not None and not sealing
    return (
        number,
        record.log_id,
        record.client_id,
        record.source_id,
        bytes.fromhex(record.digest) if record.messages else b"",
        record.user_id,
        conversation_id,
        model_id,
        tokens.get("prompt_tokens"),
        tokens.get("completion_tokens"),
        total_of(tokens),
        record.latency_ms,
        record.at,
        record.received_at,
        orjson.dumps(record.extra).decode() if plain else None,
    )


def _numbers(count: int) -> list[int]:
    """The numbers of the next logs: nobody else stores any before our commit."""
    connection = writing_connection()
    if isinstance(connection, psycopg.Connection):
        return [number for (number,) in connection.execute(NUMBERS, {"count": count}).fetchall()]
    last: int = connection.execute("SELECT coalesce(max(number), 0) FROM message_logs").fetchone()[0]
    return list(range(last + 1, last + 1 + count))
