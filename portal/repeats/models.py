"""Kept answers as stored."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model


class KeptAnswer(Model):
    """The answer to a call with an Idempotency-Key: unique by (caller, key). `fingerprint` tells another call apart.

    A caller is a service client, or the account of an access token.
    """

    __tablename__ = "kept_answers"

    caller_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[bytes]
    status: Mapped[int]
    body: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(index=True)
