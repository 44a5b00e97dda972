"""Conversations of a demo, stored where the flush stores pushed records."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from portal.core.database import transaction
from portal.core.ids import new_id
from portal.demo.rows import note_growth
from portal.demo.talk import draw_talk
from portal.demo.usage import instant_in
from portal.messages.lines import WaitingRecord
from portal.messages.models import Conversation, MessageContent, MessageLog
from portal.messages.shape import read_record
from portal.messages.store import store_records

if TYPE_CHECKING:
    from uuid import UUID

    from portal.demo.crowd import Talker
    from portal.demo.talk import Talk

BATCH = 500


def make_conversations(talkers: list[Talker], client_id: UUID, *, logs: int, number: int, now: datetime) -> None:
    """Make and store `logs` exchanges in conversations of these people, earlier ones talking more."""
    if not logs:
        return
    chance = Random(f"talk {number}")  # noqa: S311  # made-up talk, no secrets
    done = batches = 0
    while done < logs:
        batch: list[WaitingRecord] = []
        while done < logs and len(batch) < BATCH:
            talker = talkers[int(len(talkers) * chance.random() ** 1.6)]
            talk = draw_talk(chance, most=logs - done)
            _add_talk(batch, talker, talk, _begin(chance, talker, talk, now), client_id, chance, done, now)
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
    batch: list[WaitingRecord],
    talker: Talker,
    talk: Talk,
    at: datetime,
    client_id: UUID,
    chance: Random,
    done: int,
    now: datetime,
) -> None:
    source = f"talk-{done + 1:07d}"
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
        at = record.at
        batch.append(
            WaitingRecord(
                log_id=new_id(),
                client_id=client_id,
                source_id=record.source_id or "",
                digest=record.digest.hex(),
                user_id=talker.id,
                conversation=source,
                model=record.model,
                messages=record.messages,
                tokens=record.tokens,
                latency_ms=record.latency_ms,
                at=at,
                received_at=min(now, at + timedelta(seconds=chance.uniform(0.2, 5))),
                extra=record.extra,
            )
        )


def _store(batch: list[WaitingRecord]) -> None:
    with transaction():
        done = store_records(batch)
    if done.bad:
        raise ValueError(f"a made-up record cannot be stored: {done.bad[0][1]}")
