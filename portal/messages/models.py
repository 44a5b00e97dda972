"""Message logs as stored: metadata and content apart."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model
from portal.core.packing import PackedJSON

# SQLite gives row numbers by itself only to a column of exactly this type.
Number = BigInteger().with_variant(Integer, "sqlite")
Document = JSON().with_variant(JSONB, "postgresql")


class MessageModel(Model):
    """The name of a model, once."""

    __tablename__ = "message_models"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)


class Conversation(Model):
    """Logs that belong together: one per user, client and the client's own conversation id."""

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("user_id", "client_id", "source_id"),
        Index("ix_conversations_user", "user_id", "last_at", "id"),
        Index("ix_conversations_source", "source_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    client_id: Mapped[UUID] = mapped_column(ForeignKey("service_clients.id"))
    source_id: Mapped[str] = mapped_column(String(128))
    title: Mapped[str] = mapped_column(String(120), default="")
    sealed_title: Mapped[bytes | None] = mapped_column(default=None)
    started_at: Mapped[datetime]
    last_at: Mapped[datetime]
    exchanges: Mapped[int] = mapped_column(default=0)


class MessageLog(Model):
    """One logged exchange, without its words. Unique by (client, the client's own id)."""

    __tablename__ = "message_logs"
    __table_args__ = (
        UniqueConstraint("client_id", "source_id"),
        Index("ix_message_logs_conversation", "conversation_id", "at", "number"),
        Index("ix_message_logs_user", "user_id", "at", "number"),
        Index("ix_message_logs_at", "at", "number", "model_id"),
        Index("ix_message_logs_model", "user_id", "model_id", "at", "number"),
        Index("ix_message_logs_received", "received_at", "number"),
    )

    number: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    client_id: Mapped[UUID] = mapped_column(ForeignKey("service_clients.id"))
    source_id: Mapped[str] = mapped_column(String(128))
    digest: Mapped[bytes]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    conversation_id: Mapped[UUID] = mapped_column(ForeignKey("conversations.id"))
    model_id: Mapped[int | None] = mapped_column(ForeignKey("message_models.id"))
    prompt_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    total_tokens: Mapped[int | None] = mapped_column(BigInteger)
    latency_ms: Mapped[int | None]
    at: Mapped[datetime]
    received_at: Mapped[datetime]
    extra: Mapped[dict[str, Any] | None] = mapped_column(Document)


class MessageContent(Model):
    """The words of one exchange, in a table of its own: own retention, own encryption.

    `user_id` is that of the log, once more, so that a search asks for words and owner in one place.
    """

    __tablename__ = "message_contents"

    number: Mapped[int] = mapped_column(Number, ForeignKey("message_logs.number"), primary_key=True)
    user_id: Mapped[UUID]
    messages: Mapped[list[dict[str, Any]]] = mapped_column(PackedJSON)


class SealedContent(Model):
    """The content of one exchange, sealed. Such a log has no row in message_contents, and so nothing to search."""

    __tablename__ = "sealed_contents"

    number: Mapped[int] = mapped_column(Number, ForeignKey("message_logs.number"), primary_key=True)
    sealed: Mapped[bytes]


class ContentOpening(Model):
    """Somebody's leave to read content of a user (or one log) until an instant, with the reason given for it."""

    __tablename__ = "content_openings"
    __table_args__ = (Index("ix_content_openings_reader", "reader_id", "user_id", "until"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    reader_id: Mapped[UUID]
    reader_kind: Mapped[str] = mapped_column(String(20))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    log_id: Mapped[UUID | None]
    reason: Mapped[str] = mapped_column(String(500))
    case: Mapped[str | None] = mapped_column(String(40))
    opened_at: Mapped[datetime]
    until: Mapped[datetime]


class ModelDay(Model):
    """Logs and tokens per model and UTC day, counted by the flush, so that no page counts logs."""

    __tablename__ = "model_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(String(80), primary_key=True)
    logs: Mapped[int] = mapped_column(BigInteger, default=0)
    tokens: Mapped[int] = mapped_column(BigInteger, default=0)


class SpoolPosition(Model):
    """How far a spool file is stored; written in the transaction that stores its records."""

    __tablename__ = "spool_positions"

    file: Mapped[str] = mapped_column(String(120), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)


class QuarantinedRecord(Model):
    """A spooled line that could not be stored, kept with the reason: as it was in `line`, or sealed.

    `spool_key` names its place in the spool, so that a chunk flushed twice sets it aside once.
    """

    __tablename__ = "quarantined_records"
    __table_args__ = (Index("ix_quarantined_records_at", "at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(String(300))
    line: Mapped[str | None] = mapped_column(Text)
    spool_key: Mapped[str | None] = mapped_column(String(200), unique=True)
    client_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None]
    source_id: Mapped[str | None] = mapped_column(String(128))
    sealed: Mapped[bytes | None]
