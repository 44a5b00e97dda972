"""Logs as the tests of keeping and purging store them: by the flush's own store, received when they say."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from portal.clients.models import ServiceClient
from portal.clients.service import create_client
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, dialect_name, transaction
from portal.core.ids import new_id
from portal.messages.lines import WaitingRecord
from portal.messages.models import Conversation, MessageContent, MessageLog, SealedContent
from portal.messages.reading import LogFilter, own_hits
from portal.messages.store import store_records
from tests.people import actor_named


def record_of(user_id: UUID, client_id: UUID, source_id: str, words: str, **fields: Any) -> WaitingRecord:
    """A record of these words, in a conversation of its own."""
    now = clock.now()
    given: dict[str, Any] = {
        "conversation": f"talk {source_id}",
        "at": now,
        "received_at": now,
        "messages": [{"role": "user", "content": words}],
        "extra": {"said": words},
        **fields,
    }
    return WaitingRecord(
        log_id=new_id(),
        client_id=client_id,
        source_id=source_id,
        digest="ab" * 16,
        user_id=user_id,
        model="m-1",
        tokens={"total_tokens": 7},
        latency_ms=5,
        **given,
    )


def store(*records: WaitingRecord) -> None:
    """Store them."""
    with transaction():
        done = store_records(records)
    assert not done.bad


def a_client() -> UUID:
    """The id of the client whose logs these are."""
    found = db.session.scalars(select(ServiceClient.id).limit(1)).first()
    if found is not None:
        return found
    with transaction():
        return create_client(operator_actor(), name="gate", scopes=["logs:write"])[0].id


def keep(user_id: UUID, words: str, received_at: datetime, **fields: Any) -> str:
    """Store one log of these words, received then. Answers the client's own id of it."""
    source_id = str(new_id())
    store(record_of(user_id, a_client(), source_id, words, received_at=received_at, at=received_at, **fields))
    return source_id


def left_of(source_id: str) -> str:
    """What is left of a log: `words`, `metadata` or `nothing`. Half of anything is a fault."""
    log = db.session.scalars(select(MessageLog).where(MessageLog.source_id == source_id)).first()
    if log is None:
        return "nothing"
    db.session.refresh(log)
    contents = sum(
        db.session.scalar(select(func.count()).select_from(table).where(table.number == log.number)) or 0
        for table in (MessageContent, SealedContent)
    )
    assert db.session.get(Conversation, log.conversation_id) is not None
    if contents:
        assert (contents, log.digest) == (1, bytes.fromhex("ab" * 16))
        return "words"
    assert (log.digest, log.extra) == (b"", None)
    return "metadata"


def hits_of(username: str, words: str) -> int:
    """How many places a user's own search finds."""
    page = own_hits(actor_named(username), LogFilter(search=words))
    return sum(len(found.hits) for found in page.items)


def index_is_whole() -> bool:
    """Whether the index of words holds one entry for each log with words, and none else."""
    if dialect_name() != "sqlite":
        return True
    db.session.execute(text("INSERT INTO message_search (message_search) VALUES ('integrity-check')"))
    db.session.rollback()
    kept = db.session.scalars(select(MessageContent.number).order_by(MessageContent.number)).all()
    owners = "SELECT DISTINCT rowid FROM message_search WHERE message_search MATCH 'owner : u*' ORDER BY rowid"
    return list(kept) == list(db.session.scalars(text(owners)).all())
