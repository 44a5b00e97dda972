"""Plans, usage days, balances and the ledger as stored."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model

OPEN = text("closed_at IS NULL")


class Plan(Model):
    """A named bundle. `daily_limit` and `rate_per_minute` None mean no limit."""

    __tablename__ = "plans"
    __table_args__ = (
        CheckConstraint("daily_limit IS NULL OR daily_limit >= 0", "daily_limit"),
        CheckConstraint("credits_per_month >= 0", "credits_per_month"),
        CheckConstraint("key_count >= 0", "key_count"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    daily_limit: Mapped[int | None]
    credits_per_month: Mapped[int] = mapped_column(default=0)
    rate_per_minute: Mapped[int | None]
    key_count: Mapped[int] = mapped_column(default=5)
    retention_days: Mapped[int] = mapped_column(default=365)
    prices: Mapped[dict[str, int]] = mapped_column(JSON, default=dict)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  # SQLAlchemy reads it from the class


class UsageDay(Model):
    """Today's counter and the history in one: conversations used by a user on a local day."""

    __tablename__ = "usage_days"
    __table_args__ = (
        CheckConstraint("used >= 0", "used"),
        # Only days still open: the reset job finds its work without walking the history.
        Index("ix_usage_days_open", "day", sqlite_where=OPEN, postgresql_where=OPEN),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger, default=0)
    closed_at: Mapped[datetime | None]


class UsageDetail(Model):
    """The same by key and model, for history pages. The nil UUID stands for no key, "" for no model."""

    __tablename__ = "usage_details"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(String(80), primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger, default=0)
    credits: Mapped[int] = mapped_column(BigInteger, default=0)


class UsageMonth(Model):
    """Closed days folded into their month (its first day)."""

    __tablename__ = "usage_months"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger, default=0)


class CreditBalance(Model):
    """What a user may draw on: this month's plan credits first, then own credits."""

    __tablename__ = "credit_balances"
    __table_args__ = (
        CheckConstraint("plan_credits >= 0", "plan_credits"),
        CheckConstraint("own_credits >= 0", "own_credits"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    plan_credits: Mapped[int] = mapped_column(BigInteger, default=0)
    plan_month: Mapped[date | None]
    own_credits: Mapped[int] = mapped_column(BigInteger, default=0)


class CreditEntry(Model):
    """One change of a balance. Never changed, never removed; `balance` is what stood after it."""

    __tablename__ = "credit_entries"
    __table_args__ = (Index("ix_credit_entries_user", "user_id", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    kind: Mapped[str] = mapped_column(String(10))
    amount: Mapped[int] = mapped_column(BigInteger)
    balance: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(500), default="")
    actor_kind: Mapped[str] = mapped_column(String(20))
    actor_name: Mapped[str] = mapped_column(String(80))
    decision_id: Mapped[UUID | None]
    created_at: Mapped[datetime]
