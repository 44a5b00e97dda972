"""Service clients and their status checks as stored."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model


class ServiceClient(Model):
    """A machine client. Only the digest of its token is kept. Without `rate_per_minute` its calls are not counted."""

    __tablename__ = "service_clients"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    hint: Mapped[str] = mapped_column(String(16))
    scopes: Mapped[list[str]]
    rate_per_minute: Mapped[int | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(80))
    disabled_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class StatusCheck(Model):
    """One sign of life, as a client posted it. `client_name` is who speaks, `client_id` whose token it was."""

    __tablename__ = "status_checks"
    __table_args__ = (Index("ix_status_checks_created", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    client_id: Mapped[UUID] = mapped_column(ForeignKey("service_clients.id"))
    client_name: Mapped[str] = mapped_column(String(80))
    note: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime]


class StatusClient(Model):
    """The latest sign of life of each that posts them: few rows, so that who is late is found at once."""

    __tablename__ = "status_clients"

    client_name: Mapped[str] = mapped_column(String(80), primary_key=True)
    client_id: Mapped[UUID] = mapped_column(ForeignKey("service_clients.id"))
    last_at: Mapped[datetime]
    last_note: Mapped[str | None] = mapped_column(String(500))
