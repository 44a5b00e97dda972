"""Families of refresh tokens as stored: one for each time somebody got tokens by showing who they are."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model


class TokenFamily(Model):
    """All tokens that came of one sign-in over the API. Ended, or its account in another epoch, and all are dead.

    `entered_at` and `proven_at` are when the person showed who they are, as of a session. `end_reason` says why it
    ended: revoked, replayed, or signed out with the sessions.
    """

    __tablename__ = "token_families"
    __table_args__ = (
        Index("ix_token_families_account", "account_id", "created_at"),
        Index("ix_token_families_created", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    epoch: Mapped[int]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None] = mapped_column(String(20))
    address: Mapped[str | None] = mapped_column(String(45))
    device: Mapped[str] = mapped_column(String(200), default="")
    method: Mapped[str] = mapped_column(String(20), default="password")
    entered_at: Mapped[datetime]
    proven_at: Mapped[datetime | None]


class RefreshToken(Model):
    """One refresh token by its digest, good once. A used one stays as long as its family, so that a replay is known.

    `sealed_child` is the token that it was changed for, under a key that only the token itself gives: for whoever lost
    the answer on the way.
    """

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index("ix_refresh_tokens_family", "family_id"),)

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    family_id: Mapped[UUID] = mapped_column(ForeignKey("token_families.id"))
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    child_digest: Mapped[bytes | None]
    sealed_child: Mapped[str | None] = mapped_column(Text)
