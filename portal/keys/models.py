"""API keys as stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core import clock
from portal.core.database import Model

ENDING = text("expires_at IS NOT NULL")
# So long before a key ends its owner is told.
SOON = timedelta(days=7)


class ApiKey(Model):
    """A user's key for the metered service. Only the digest is kept; the prefix is for people to tell keys apart.

    Without scopes it is good for any, without networks from anywhere. `version` rises with every change that a
    verify must feel; `last_used_*` does not count as one. `revoked_why` is '', owner, service (whoever runs it),
    leaked, replaced or deleted.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        Index("ix_api_keys_user", "user_id", "created_at"),
        # Most keys never end: the job that tells of those which do must not walk them all.
        Index("ix_api_keys_ending", "expires_at", sqlite_where=ENDING, postgresql_where=ENDING),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    name: Mapped[str] = mapped_column(String(80))
    prefix: Mapped[str] = mapped_column(String(16), index=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    networks: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    daily_limit: Mapped[int | None]
    revoked_at: Mapped[datetime | None]
    revoked_why: Mapped[str] = mapped_column(String(10), default="")
    replaced_by: Mapped[UUID | None]
    expiry_told_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    last_used_from: Mapped[str | None] = mapped_column(String(45))
    last_used_by: Mapped[str | None] = mapped_column(String(80))
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  # SQLAlchemy reads it from the class

    @property
    def state(self) -> str:
        """active, replaced (still good till it expires), expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= clock.now():
            return "expired"
        return "active" if self.replaced_by is None else "replaced"

    @property
    def ends_soon(self) -> bool:
        """Whether it is good still and ends within a week."""
        if self.revoked_at is not None or self.expires_at is None:
            return False
        return timedelta(0) < self.expires_at - clock.now() <= SOON


class KeyUse(Model):
    """Who still calls with a key that was replaced: one row per client and address, for the owner to see."""

    __tablename__ = "key_uses"

    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    client_name: Mapped[str] = mapped_column(String(80), primary_key=True)
    address: Mapped[str] = mapped_column(String(45), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
