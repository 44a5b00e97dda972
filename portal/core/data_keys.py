"""Data keys as stored: one for each user, wrapped by a key of ENCRYPTION_KEYS."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model


class DataKey(Model):
    """The key that seals what is a user's. Destroyed, it is empty, and what it sealed can be read by nobody."""

    __tablename__ = "data_keys"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    wrapped: Mapped[bytes]
    wrapped_by: Mapped[str] = mapped_column(String(16), index=True)
    created_at: Mapped[datetime]
    destroyed_at: Mapped[datetime | None]


class KeyCheck(Model):
    """A known value, sealed, by which a wrong key of ENCRYPTION_KEYS is noticed before it seals anything."""

    __tablename__ = "key_checks"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    sealed: Mapped[str] = mapped_column(Text)
