"""The flush: from the spool into the database, in one transaction with the position reached.

A crash before the commit stores nothing and moves nothing; after it, the position says what is stored. So
nothing is lost and nothing doubles, whenever the process dies. One of the three places that commit.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
import orjson
from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DataError, IntegrityError

from portal.core import clock, settings
from portal.core.database import db, dialect_name, transaction
from portal.core.ids import new_id
from portal.messages.models import (
    Conversation,
    MessageContent,
    MessageLog,
    MessageModel,
    ModelDay,
    QuarantinedRecord,
    SpoolPosition,
)
from portal.messages.searching import index_words
from portal.messages.shape import INT, plain_text
from portal.messages.spool import read_line, spool_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TITLE = 120


@dataclass(slots=True)
class Flushed:
    """What a flush did, in records."""

    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0

    def __str__(self) -> str:
        return f"stored {self.stored}, duplicate {self.duplicates}, quarantined {self.quarantined}"


Size = Annotated[int, msgspec.Meta(ge=0, le=INT)]
Name = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[^\0]*\Z")]


class _Line(msgspec.Struct):
    """What a spooled record must hold. Intake writes nothing else; files of other versions and hands may."""

    log_id: UUID
    client_id: UUID
    source_id: Name
    digest: Annotated[str, msgspec.Meta(pattern=r"^(?:[0-9a-f]{2})+\Z")]
    user_id: UUID
    conversation: Name
    model: Name
    messages: list[dict[str, Any]]
    tokens: dict[str, Size]
    latency_ms: Size | None
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    received_at: Annotated[datetime, msgspec.Meta(tz=True)]
    extra: dict[str, Any] | None


def fault_of(record: dict[str, Any]) -> str | None:
    """Why a spooled record cannot be stored at all: one such line must not stop all that wait behind it."""
    try:
        msgspec.convert(record, _Line)
    except msgspec.ValidationError as error:
        return f"no record: {error}"
    return None


@dataclass(slots=True)
class _Chunk:
    """Lines read from one file: where they end, and what they hold."""

    end: int
    records: list[dict[str, Any]] = field(default_factory=list)
    poison: list[tuple[bytes, str]] = field(default_factory=list)


def flush() -> Flushed:
    """Store everything that waits in the spool files of this host. One flusher of the host at a time."""
    done = Flushed()
    spool = spool_of(settings.current())
    with _alone(spool.ready_folder()) as mine:
        if not mine:
            return done
        for path in spool.files():
            _flush_file(path, done)
    return done


def waiting_bytes() -> int:
    """Bytes in the spool files of this host that are not stored yet."""
    stored = {row.file: row.position for row in db.session.execute(select(SpoolPosition.file, SpoolPosition.position))}
    waiting = 0
    for path in spool_of(settings.current()).files():
        try:
            waiting += max(0, path.stat().st_size - stored.get(path.name, 0))
        except FileNotFoundError:
            continue
    return waiting


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether this is the only flusher of the host; the system frees the lock of a killed one."""
    with (folder / "flush.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _flush_file(path: Path, done: Flushed) -> None:
    spool = spool_of(settings.current())
    position = db.session.scalar(select(SpoolPosition.position).where(SpoolPosition.file == path.name)) or 0
    while True:
        left = spool.is_left(path)
        chunk = _read_chunk(path, position, torn_ends=left)
        if chunk is None or chunk.end == position:
            break
        with transaction():
            _store(chunk, done)
            _remember(path.name, chunk.end)
        position = chunk.end
        spool.forget([(record["client_id"], record["source_id"]) for record in chunk.records])
    if spool.remove_if_left(path, position):
        with transaction():
            db.session.execute(delete(SpoolPosition).where(SpoolPosition.file == path.name))


def _read_chunk(path: Path, position: int, *, torn_ends: bool) -> _Chunk | None:
    """The next lines of a file. A torn tail is waited for while a process holds the file, else skipped."""
    now = settings.current()
    try:
        with path.open("rb") as file:
            file.seek(position)
            chunk, size = _Chunk(position), 0
            while len(chunk.records) + len(chunk.poison) < now.flush_rows and size < now.flush_max_bytes:
                line = file.readline()
                if not line or (not line.endswith(b"\n") and not torn_ends):
                    break
                record = read_line(line)
                fault = "damaged line" if record is None else fault_of(record)
                if record is not None and fault is None:
                    chunk.records.append(record)
                elif line.endswith(b"\n"):
                    chunk.poison.append((line, fault or "damaged line"))
                size += len(line)
                chunk.end += len(line)
            return chunk
    except FileNotFoundError:
        return None


def _upsert(table: Any) -> Any:
    return postgres_insert(table) if dialect_name() == "postgresql" else sqlite_insert(table)


def _remember(file: str, position: int) -> None:
    fresh = _upsert(SpoolPosition).values(file=file, position=position)
    db.session.execute(fresh.on_conflict_do_update(index_elements=["file"], set_={"position": position}))


def _store(chunk: _Chunk, done: Flushed) -> None:
    """Insert the records; when one of them cannot be stored, each is tried alone and the bad ones set aside."""
    for line, reason in chunk.poison:
        _quarantine(line.decode("utf-8", "replace"), reason, done)
    fresh = _drop_known(chunk.records, done)
    if not fresh:
        return
    try:
        with db.session.begin_nested():
            _insert(fresh)
        done.stored += len(fresh)
    except (ValueError, KeyError, DataError, IntegrityError) as first:
        if len(fresh) == 1:
            _quarantine(_shown(fresh[0]), type(first).__name__, done)
            return
        for record in fresh:
            _store(_Chunk(0, [record]), done)


def _shown(record: dict[str, Any]) -> str:
    return orjson.dumps(record).decode()


def _quarantine(line: str, reason: str, done: Flushed) -> None:
    db.session.execute(
        insert(QuarantinedRecord).values(id=new_id(), at=clock.now(), reason=reason[:300], line=line.replace("\0", ""))
    )
    done.quarantined += 1


def _drop_known(records: list[dict[str, Any]], done: Flushed) -> list[dict[str, Any]]:
    """Leave out what the database holds already; a twin that differs goes to quarantine with its content."""
    known: dict[tuple[str, str], str] = {}
    by_client: dict[str, list[str]] = {}
    for record in records:
        by_client.setdefault(record["client_id"], []).append(record["source_id"])
    for client, sources in by_client.items():
        query = select(MessageLog.source_id, MessageLog.digest).where(
            MessageLog.client_id == UUID(client), MessageLog.source_id.in_(sources)
        )
        known |= {(client, row.source_id): row.digest.hex() for row in db.session.execute(query)}
    fresh = []
    for record in records:
        key = (record["client_id"], record["source_id"])
        if key not in known:
            known[key] = record["digest"]
            fresh.append(record)
        elif known[key] == record["digest"]:
            done.duplicates += 1
        else:
            _quarantine(_shown(record), "another record has this id", done)
    return fresh


def _insert(records: list[dict[str, Any]]) -> None:
    models = _model_ids({record["model"] for record in records if record["model"]})
    conversations = _conversation_ids(records)
    rows = []
    for record in records:
        tokens = record["tokens"]
        rows.append(
            {
                "id": UUID(record["log_id"]),
                "client_id": UUID(record["client_id"]),
                "source_id": record["source_id"],
                "digest": bytes.fromhex(record["digest"]),
                "user_id": UUID(record["user_id"]),
                "conversation_id": conversations[_conversation_key(record)],
                "model_id": models.get(record["model"]),
                "prompt_tokens": tokens.get("prompt_tokens"),
                "completion_tokens": tokens.get("completion_tokens"),
                "total_tokens": _total(tokens),
                "latency_ms": record["latency_ms"],
                "at": datetime.fromisoformat(record["at"]),
                "received_at": datetime.fromisoformat(record["received_at"]),
                "extra": record["extra"],
            }
        )
    db.session.execute(insert(MessageLog), rows)
    ids = [row["id"] for row in rows]
    numbers = {
        row.id: row.number
        for row in db.session.execute(select(MessageLog.id, MessageLog.number).where(MessageLog.id.in_(ids)))
    }
    said = [(numbers[UUID(record["log_id"])], UUID(record["user_id"]), record["messages"]) for record in records]
    contents = [{"number": number, "user_id": user_id, "messages": messages} for number, user_id, messages in said]
    db.session.execute(insert(MessageContent), contents)
    index_words(said)
    _count_models(records)


def _total(tokens: dict[str, int]) -> int | None:
    if "total_tokens" in tokens:
        return tokens["total_tokens"]
    parts = [tokens[name] for name in ("prompt_tokens", "completion_tokens") if name in tokens]
    return sum(parts) if parts else None


def _model_ids(wanted: set[str]) -> dict[str, int]:
    if not wanted:
        return {}
    query = select(MessageModel.name, MessageModel.id).where(MessageModel.name.in_(wanted))
    known = {row.name: row.id for row in db.session.execute(query)}
    missing = sorted(wanted - set(known))
    if missing:
        fresh = _upsert(MessageModel).values([{"name": name} for name in missing])
        db.session.execute(fresh.on_conflict_do_nothing(index_elements=["name"]))
        known = {row.name: row.id for row in db.session.execute(query)}
    return known


def _conversation_key(record: dict[str, Any]) -> tuple[str, str, str]:
    return record["user_id"], record["client_id"], record["conversation"]


def _conversation_ids(records: list[dict[str, Any]]) -> dict[tuple[str, str, str], UUID]:
    """Each record's conversation, made or moved on in one statement for all. Sorted, so that two never deadlock."""
    merged: dict[tuple[str, str, str], dict[str, Any]] = {}
    for record in records:
        at = datetime.fromisoformat(record["at"])
        row = merged.setdefault(
            _conversation_key(record),
            {
                "id": new_id(),
                "user_id": UUID(record["user_id"]),
                "client_id": UUID(record["client_id"]),
                "source_id": record["conversation"],
                "title": title_of(record["messages"]),
                "started_at": at,
                "last_at": at,
                "exchanges": 0,
            },
        )
        row["started_at"], row["last_at"] = min(row["started_at"], at), max(row["last_at"], at)
        row["exchanges"] += 1
    fresh = _upsert(Conversation).values([merged[key] for key in sorted(merged)])
    later = func.max if dialect_name() == "sqlite" else func.greatest
    earlier = func.min if dialect_name() == "sqlite" else func.least
    result = db.session.execute(
        fresh.on_conflict_do_update(
            index_elements=["user_id", "client_id", "source_id"],
            set_={
                "started_at": earlier(Conversation.started_at, fresh.excluded.started_at),
                "last_at": later(Conversation.last_at, fresh.excluded.last_at),
                "exchanges": Conversation.exchanges + fresh.excluded.exchanges,
            },
        ).returning(Conversation.id, Conversation.user_id, Conversation.client_id, Conversation.source_id)
    )
    return {(str(row.user_id), str(row.client_id), row.source_id): row.id for row in result}


def title_of(messages: list[dict[str, Any]]) -> str:
    """A conversation is called by the first words of the person, not by the instructions before them."""
    asked = [message for message in messages if message.get("role") == "user"] or messages
    return " ".join(plain_text(asked[:1]).split())[:TITLE]


def _count_models(records: list[dict[str, Any]]) -> None:
    counted: dict[tuple[date, str], list[int]] = {}
    for record in records:
        cell = counted.setdefault((datetime.fromisoformat(record["at"]).date(), record["model"]), [0, 0])
        cell[0] += 1
        cell[1] += _total(record["tokens"]) or 0
    rows = [
        {"day": day, "model": model, "logs": logs, "tokens": tokens}
        for (day, model), (logs, tokens) in sorted(counted.items())
    ]
    fresh = _upsert(ModelDay).values(rows)
    db.session.execute(
        fresh.on_conflict_do_update(
            index_elements=["day", "model"],
            set_={
                "logs": ModelDay.logs + fresh.excluded.logs,
                "tokens": ModelDay.tokens + fresh.excluded.tokens,
            },
        )
    )
