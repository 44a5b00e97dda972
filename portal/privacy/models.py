"""Deleted users as stored."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model


class DeletedUser(Model):
    """A soft-deleted user: who, when, why, until when; the personal data sealed."""

    __tablename__ = "deleted_users"
    __table_args__ = (
        Index("ix_deleted_users_at", "deleted_at", "user_id"),
        Index("ix_deleted_users_purge", "purge_after"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    deleted_at: Mapped[datetime]
    deleted_by: Mapped[str] = mapped_column(String(80))
    reason: Mapped[str] = mapped_column(String(500))
    purge_after: Mapped[datetime]
    sealed: Mapped[str] = mapped_column(Text)
