"""Sessions, steps on the way in, known devices, second factors, networks and failure counters as stored."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model


class SignInSession(Model):
    """One signed-in browser. The cookie holds a random secret, this row its digest.

    `entered_at` is when the person last proved who they are, `proven_at` when they last did with a second factor, or
    without one where none is set up: dangerous acts ask how long ago that is.
    """

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_account", "account_id", "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    epoch: Mapped[int]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    address: Mapped[str | None] = mapped_column(String(45))
    device: Mapped[str] = mapped_column(String(200), default="")
    method: Mapped[str] = mapped_column(String(20), default="password")
    entered_at: Mapped[datetime]
    proven_at: Mapped[datetime | None]


class SignInStep(Model):
    """Something a browser has begun and not finished: the secret is in its cookie, here is the digest. Spent once.

    `facts` are sealed: a challenge, what an outside provider is to be answered with, where to go afterwards.
    """

    __tablename__ = "sign_in_steps"
    __table_args__ = (Index("ix_sign_in_steps_account", "account_id"), Index("ix_sign_in_steps_expires", "expires_at"))

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(String(20))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"))
    epoch: Mapped[int] = mapped_column(default=0)
    facts: Mapped[str] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class KnownDevice(Model):
    """A browser in which somebody has signed in to an account before: a secret in a cookie of its own."""

    __tablename__ = "known_devices"
    __table_args__ = (Index("ix_known_devices_account", "account_id", "last_seen_at"),)

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class Authenticator(Model):
    """An authenticator app of an account (TOTP, RFC 6238): its seed, sealed, and the last step that was taken.

    Without `confirmed_at` it is being set up and good for nothing yet.
    """

    __tablename__ = "authenticators"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    sealed_seed: Mapped[str] = mapped_column(Text)
    last_step: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]


class Passkey(Model):
    """A passkey of an account (WebAuthn): its public key and the counter it last told."""

    __tablename__ = "passkeys"
    __table_args__ = (Index("ix_passkeys_account", "account_id", "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    credential_id: Mapped[bytes] = mapped_column(unique=True)
    public_key: Mapped[bytes]
    sign_count: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(80))
    transports: Mapped[list[str]]
    backed_up: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class RecoveryCode(Model):
    """A code that stands in for a second factor once: only its digest is kept."""

    __tablename__ = "recovery_codes"
    __table_args__ = (UniqueConstraint("account_id", "digest"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    digest: Mapped[bytes]
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignInNetwork(Model):
    """A network from which accounts of a kind may sign in, put down in the console."""

    __tablename__ = "sign_in_networks"
    __table_args__ = (CheckConstraint("kind IN ('staff', 'admin')", "kind"), UniqueConstraint("kind", "network"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    network: Mapped[str] = mapped_column(String(49))
    note: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime]


class FailureCount(Model):
    """Recent failures of one account name or address, in one window."""

    __tablename__ = "failure_counts"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    window_started_at: Mapped[datetime]
    failures: Mapped[int] = mapped_column(default=0)
    last_at: Mapped[datetime | None] = mapped_column(default=None)
