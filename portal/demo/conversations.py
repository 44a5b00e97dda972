"""Conversations of a demo, stored the way the flush stores pushed records."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from portal.core.database import db, dialect_name, transaction
from portal.core.ids import new_id
from portal.demo.rows import insert_rows, note_growth
from portal.demo.talk import MODELS, draw_talk
from portal.demo.usage import instant_in
from portal.messages.flush import title_of
from portal.messages.models import Conversation, MessageContent, MessageLog, MessageModel, ModelDay
from portal.messages.searching import index_words
from portal.messages.shape import read_record

if TYPE_CHECKING:
    from uuid import UUID

    from portal.demo.crowd import Talker
    from portal.demo.talk import Talk

BATCH = 500


@dataclass(slots=True)
class _Batch:
    """Rows of whole conversations."""

    conversations: list[dict[str, Any]] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    messages: list[list[dict[str, Any]]] = field(default_factory=list)
    counted: dict[tuple[date, str], list[int]] = field(default_factory=dict)


def make_conversations(talkers: list[Talker], client_id: UUID, *, logs: int, number: int, now: datetime) -> None:
    """Make and store `logs` exchanges in conversations of these people, earlier ones talking more."""
    if not logs:
        return
    chance = Random(f"talk {number}")  # noqa: S311  # made-up talk, no secrets
    models = _model_ids()
    done = batches = 0
    while done < logs:
        batch = _Batch()
        while done < logs and len(batch.logs) < BATCH:
            talker = talkers[int(len(talkers) * chance.random() ** 1.6)]
            talk = draw_talk(chance, most=logs - done)
            _add_talk(batch, talker, talk, _begin(chance, talker, talk, now), client_id, models, chance, done, now)
            done += len(talk.said)
        _store(batch)
        batches += 1
        note_growth(batches, MessageLog)
    note_growth(1, Conversation, MessageLog, MessageContent)


def _begin(chance: Random, talker: Talker, talk: Talk, now: datetime) -> datetime:
    """When the talk began: on a day of use, in waking hours, and early enough to be over by now."""
    share = chance.triangular(0.3, 0.98, 0.6)
    at = max(talker.created_at, instant_in(talker.time_zone, chance.choice(talker.days), share, now))
    return min(at, now - timedelta(seconds=300 * (len(talk.said) + 1)))


def _add_talk(
    batch: _Batch,
    talker: Talker,
    talk: Talk,
    at: datetime,
    client_id: UUID,
    models: dict[str, int],
    chance: Random,
    done: int,
    now: datetime,
) -> None:
    conversation_id = new_id()
    source = f"talk-{done + 1:07d}"
    title, started = "", at
    for turn, said in enumerate(talk.said):
        if turn:
            at = at + timedelta(seconds=chance.uniform(20, 240))
        raw = {
            "id": f"demo-{done + turn + 1:07d}",
            "user_id": str(talker.id),
            "conversation_id": source,
            "model": talk.model,
            "messages": [
                {"role": "user", "content": said.question},
                {"role": "assistant", "content": said.answer},
            ],
            "usage": {
                "prompt_tokens": said.prompt_tokens,
                "completion_tokens": said.completion_tokens,
                "total_tokens": said.prompt_tokens + said.completion_tokens,
            },
            "latency_ms": said.latency_ms,
            "timestamp": at.isoformat(timespec="milliseconds"),
        }
        record = read_record(raw)
        title = title or title_of(record.messages)
        started = record.at if turn == 0 else started
        at = record.at
        batch.logs.append(
            {
                "id": new_id(),
                "client_id": client_id,
                "source_id": record.source_id,
                "digest": record.digest,
                "user_id": talker.id,
                "conversation_id": conversation_id,
                "model_id": models[record.model],
                "prompt_tokens": record.tokens["prompt_tokens"],
                "completion_tokens": record.tokens["completion_tokens"],
                "total_tokens": record.tokens["total_tokens"],
                "latency_ms": record.latency_ms,
                "at": record.at,
                "received_at": min(now, record.at + timedelta(seconds=chance.uniform(0.2, 5))),
                "extra": record.extra,
            }
        )
        batch.messages.append(record.messages)
        cell = batch.counted.setdefault((record.at.date(), record.model), [0, 0])
        cell[0] += 1
        cell[1] += record.tokens["total_tokens"]
    batch.conversations.append(
        {
            "id": conversation_id,
            "user_id": talker.id,
            "client_id": client_id,
            "source_id": source,
            "title": title,
            "started_at": started,
            "last_at": at,
            "exchanges": len(talk.said),
        }
    )


def _upsert(table: Any) -> Any:
    return postgres_insert(table) if dialect_name() == "postgresql" else sqlite_insert(table)


def _model_ids() -> dict[str, int]:
    """The ids of the models talked to, which are added where they are missing."""
    with transaction():
        fresh = _upsert(MessageModel).values([{"name": name} for name in MODELS])
        db.session.execute(fresh.on_conflict_do_nothing(index_elements=["name"]))
        query = select(MessageModel.name, MessageModel.id).where(MessageModel.name.in_(MODELS))
        return {row.name: row.id for row in db.session.execute(query)}


def _store(batch: _Batch) -> None:
    with transaction():
        insert_rows(Conversation, batch.conversations)
        insert_rows(MessageLog, batch.logs)
        ids = [log["id"] for log in batch.logs]
        query = select(MessageLog.id, MessageLog.number).where(MessageLog.id.in_(ids))
        number_of = {row.id: row.number for row in db.session.execute(query)}
        numbers = [number_of[log_id] for log_id in ids]
        users = [log["user_id"] for log in batch.logs]
        said = list(zip(numbers, users, batch.messages, strict=True))
        insert_rows(
            MessageContent,
            [{"number": number, "user_id": user_id, "messages": messages} for number, user_id, messages in said],
        )
        index_words(said)
        _count_models(batch)


def _count_models(batch: _Batch) -> None:
    rows = [
        {"day": day, "model": model, "logs": logs, "tokens": tokens}
        for (day, model), (logs, tokens) in sorted(batch.counted.items())
    ]
    fresh = _upsert(ModelDay).values(rows)
    db.session.execute(
        fresh.on_conflict_do_update(
            index_elements=["day", "model"],
            set_={"logs": ModelDay.logs + fresh.excluded.logs, "tokens": ModelDay.tokens + fresh.excluded.tokens},
        )
    )
