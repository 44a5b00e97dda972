"""Outside providers and the identities they vouch for, as stored."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model


class Provider(Model):
    """A provider made in the console; those of OIDC_PROVIDERS stand beside these and are stored nowhere.

    `slug` names it in addresses. The client's secret is sealed. `makes_accounts` says whether people without an
    account get one by signing in; `domains` are the e-mail domains to which that is limited, if any are given.
    """

    __tablename__ = "providers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    issuer: Mapped[str] = mapped_column(String(500))
    client_id: Mapped[str] = mapped_column(String(200))
    sealed_secret: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]]
    domains: Mapped[list[str]]
    makes_accounts: Mapped[bool] = mapped_column(default=False)
    enabled: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  # SQLAlchemy reads it from the class


class ExternalIdentity(Model):
    """Somebody at an issuer who is an account here: keyed by (issuer, subject), never by e-mail."""

    __tablename__ = "external_identities"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        Index("ix_external_identities_account", "account_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    provider: Mapped[str] = mapped_column(String(40))
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(255))
    email: Mapped[str] = mapped_column(String(320), default="")
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
