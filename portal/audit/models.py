"""Audit entries as stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model


class AuditEntry(Model):
    """One act. Never changed, never deleted by anything in Doorward."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_at", "at", "id"),
        Index("ix_audit_entries_actor", "actor_id", "at", "id"),
        Index("ix_audit_entries_target", "target_id", "at", "id"),
        Index("ix_audit_entries_event", "event", "at", "id"),
        Index(
            "ix_audit_entries_case",
            "case",
            "at",
            "id",
            sqlite_where=text('"case" IS NOT NULL'),
            postgresql_where=text('"case" IS NOT NULL'),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    event: Mapped[str] = mapped_column(String(60))
    actor_kind: Mapped[str] = mapped_column(String(20))
    actor_id: Mapped[UUID | None]
    actor_name: Mapped[str] = mapped_column(String(80))
    credential: Mapped[str] = mapped_column(String(20))
    on_behalf_of: Mapped[UUID | None]
    target_type: Mapped[str | None] = mapped_column(String(30))
    target_id: Mapped[UUID | None]
    target_name: Mapped[str | None] = mapped_column(String(80))
    facts: Mapped[dict[str, Any]]
    reason: Mapped[str | None] = mapped_column(String(500))
    case: Mapped[str | None] = mapped_column(String(40))
    request_id: Mapped[str | None] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(45))
    result: Mapped[str] = mapped_column(String(10))
