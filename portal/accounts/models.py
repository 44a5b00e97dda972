"""Accounts as stored: one table for what lists filter and sort on, one more per kind."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.days import Calendar
from portal.core import access
from portal.core.database import Model


class Kind(StrEnum):
    """What an account is."""

    USER = "user"
    STAFF = "staff"
    ADMIN = "admin"


class State(StrEnum):
    """Where an account stands in its life."""

    INVITED = "invited"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSING = "closing"
    DELETED = "deleted"


class Account(Model):
    """Anything that can sign in.

    `epoch` rises with suspension, deletion and reset, and kills the sessions and tokens issued before. `has_factor`
    says whether a second factor is set up (signin/factors.py keeps it true). A locked account is opened by nothing but
    a reset by mail. `theme` is auto, light or dark; `picture_id` names the present picture and changes with it.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("kind IN ('user', 'staff', 'admin')", "kind"),
        CheckConstraint("state IN ('invited', 'active', 'suspended', 'closing', 'deleted')", "state"),
        Index("ix_accounts_kind_created", "kind", "created_at", "id"),
        Index("ix_accounts_kind_name", "kind", "username_canonical", "id"),
        Index("ix_accounts_kind_seen", "kind", "last_seen_at", "id"),
        Index("ix_accounts_state_created", "kind", "state", "created_at", "id"),
        Index("ix_accounts_plan_created", "kind", "plan_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    username: Mapped[str] = mapped_column(String(80))
    username_canonical: Mapped[str] = mapped_column(String(40), unique=True)
    email: Mapped[str | None] = mapped_column(String(320))
    email_canonical: Mapped[str | None] = mapped_column(String(254), unique=True)
    email_verified_at: Mapped[datetime | None]
    display_name: Mapped[str] = mapped_column(String(80), default="")
    search_text: Mapped[str] = mapped_column(Text, default="")
    password_hash: Mapped[str | None] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(10), default=State.ACTIVE.value)
    plan_id: Mapped[UUID | None] = mapped_column(ForeignKey("plans.id"))
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    language: Mapped[str] = mapped_column(String(10), default="en")
    epoch: Mapped[int] = mapped_column(default=1)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    has_factor: Mapped[bool] = mapped_column(default=False)
    locked_at: Mapped[datetime | None] = mapped_column(default=None)
    theme: Mapped[str] = mapped_column(String(5), default="auto")
    picture_id: Mapped[UUID | None] = mapped_column(default=None)
    renamed_at: Mapped[datetime | None] = mapped_column(default=None)

    __mapper_args__ = {  # noqa: RUF012  # SQLAlchemy reads it from the class
        "polymorphic_on": "kind",
        "version_id_col": version,
    }

    @property
    def rank(self) -> int:
        """Who may act on this account: see access.outranks."""
        return access.RANK_USER

    @property
    def capabilities(self) -> frozenset[access.Capability]:
        """What the account may do while it is active."""
        return frozenset()

    @property
    def shown_name(self) -> str:
        """The display name, or the username where there is none."""
        return self.display_name or self.username


class User(Account):
    """The end user: has a plan, a daily limit, credits and keys.

    `boost_extra` raises the daily limit until `boost_until`. `next_plan_id` is the plan from `next_plan_from` on.
    After a change of zone `held_day` goes on till `held_until` (see accounts/days.py). `keep_messages` is what the user
    chose to have kept of conversations: what the plan allows, nothing, metadata only, or words for that many days.
    One who is leaving (state closing) is deleted at `closes_at`.
    """

    __tablename__ = "users"
    __table_args__ = (  # type: ignore[assignment]  # its own table's
        CheckConstraint("keep_messages IN ('plan', 'nothing', 'metadata', '7', '30', '365')", "keep_messages"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    daily_limit_override: Mapped[int | None] = mapped_column(default=None)
    boost_extra: Mapped[int] = mapped_column(default=0)
    boost_until: Mapped[datetime | None] = mapped_column(default=None)
    next_plan_id: Mapped[UUID | None] = mapped_column(ForeignKey("plans.id"), default=None)
    next_plan_from: Mapped[datetime | None] = mapped_column(default=None)
    zone_changed_at: Mapped[datetime | None] = mapped_column(default=None)
    held_day: Mapped[date | None] = mapped_column(default=None)
    held_until: Mapped[datetime | None] = mapped_column(default=None)
    warn_by_mail: Mapped[bool] = mapped_column(default=True)
    keep_messages: Mapped[str] = mapped_column(String(10), default="plan")
    keep_changed_at: Mapped[datetime | None] = mapped_column(default=None)
    closes_at: Mapped[datetime | None] = mapped_column(default=None, index=True)

    __mapper_args__ = {"polymorphic_identity": Kind.USER.value}  # noqa: RUF012  # SQLAlchemy reads it from the class

    @property
    def calendar(self) -> Calendar:
        """By what this user's days are told."""
        return Calendar(self.time_zone, self.held_day, self.held_until)

    @property
    def capabilities(self) -> frozenset[access.Capability]:
        return access.USER


class Admin(Account):
    """An account with a set of permissions."""

    __tablename__ = "admins"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    permissions: Mapped[list[str]]

    __mapper_args__ = {"polymorphic_identity": Kind.ADMIN.value}  # noqa: RUF012  # SQLAlchemy reads it from the class

    @property
    def rank(self) -> int:
        return access.RANK_FULL_ADMIN if self.is_full else access.RANK_ADMIN

    @property
    def is_full(self) -> bool:
        """Whether the admin holds every permission there is."""
        return set(self.permissions) >= set(access.PERMISSIONS)

    @property
    def capabilities(self) -> frozenset[access.Capability]:
        return access.of_permissions(self.permissions)


class StaffMember(Account):
    """A support account; its level grants capabilities."""

    __tablename__ = "support_staff"
    __table_args__ = (CheckConstraint("level IN (1, 2, 3)", "level"),)  # type: ignore[assignment]  # its own table's

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    level: Mapped[int]

    __mapper_args__ = {"polymorphic_identity": Kind.STAFF.value}  # noqa: RUF012  # SQLAlchemy reads it from the class

    @property
    def rank(self) -> int:
        return access.RANK_STAFF + self.level

    @property
    def capabilities(self) -> frozenset[access.Capability]:
        return access.of_level(self.level)


class OneTimeLink(Model):
    """A mailed or printed link that works once: only its digest is kept, bound to a purpose and to the epoch."""

    __tablename__ = "one_time_links"
    __table_args__ = (
        Index("ix_one_time_links_account", "account_id", "purpose"),
        Index("ix_one_time_links_expires", "expires_at"),
    )

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"))
    epoch: Mapped[int] = mapped_column(default=0)
    facts: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Picture(Model):
    """The picture of an account as it is shown: re-encoded here, square, WebP, with no metadata."""

    __tablename__ = "pictures"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), unique=True)
    content: Mapped[bytes]
    created_at: Mapped[datetime]


class ReservedName(Model):
    """The digest of a name or e-mail that nobody else may take: a deleted user's, until the purge; one that an account
    gave up, until `until`."""

    __tablename__ = "reserved_names"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[UUID]
    until: Mapped[datetime | None] = mapped_column(default=None, index=True)
