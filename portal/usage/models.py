"""Plans, usage days, balances and the ledger as stored."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model

OPEN = text("closed_at IS NULL")
UNTOLD = text("told_at IS NULL")
HELD = text("state = 'open'")


class Plan(Model):
    """A named bundle. None is no limit, or of `retention_days` LOG_RETENTION_DAYS."""

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
    retention_days: Mapped[int | None]
    prices: Mapped[dict[str, int]] = mapped_column(JSON, default=dict)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  # SQLAlchemy reads it from the class


class UsageDay(Model):
    """Today's counter and the history in one: conversations used by a user on a local day.

    `used` is what counts against the limit. What was given back by resetting the day (`resets` times) stands in
    `given_back`, and counts in the history only: `total`.
    """

    __tablename__ = "usage_days"
    __table_args__ = (
        CheckConstraint("used >= 0", "used"),
        # Only days still open: the reset job finds its work without walking the history.
        Index("ix_usage_days_open", "day", sqlite_where=OPEN, postgresql_where=OPEN),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    used: Mapped[int] = mapped_column(BigInteger, default=0)
    given_back: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    resets: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    closed_at: Mapped[datetime | None]

    @hybrid_property
    def total(self) -> int:
        """What was really used that day."""
        return self.used + self.given_back


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
    """What a user may draw on: this month's plan credits first, then own credits.

    `plan_month` is the first day of the month the plan credits belong to; `plan_granted` what it was given in all.
    """

    __tablename__ = "credit_balances"
    __table_args__ = (
        CheckConstraint("plan_credits >= 0", "plan_credits"),
        CheckConstraint("own_credits >= 0", "own_credits"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    plan_credits: Mapped[int] = mapped_column(BigInteger, default=0)
    plan_month: Mapped[date | None]
    plan_granted: Mapped[int] = mapped_column(BigInteger, default=0)
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


class Refund(Model):
    """A decision that was taken back. Its id is the decision's (or the lost lease's), so that it happens once."""

    __tablename__ = "refunds"

    decision_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    day: Mapped[date]
    conversations: Mapped[int]
    credits: Mapped[int]
    reason: Mapped[str] = mapped_column(String(500), default="")
    actor_kind: Mapped[str] = mapped_column(String(20))
    actor_name: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(index=True)


class Lease(Model):
    """A block of units spent in advance. `state` is open, settled or lost; what was granted is spent already.

    `plan_credits` and `own_credits` say from which balance the granted credits came. A lost lease spent all of it.
    """

    __tablename__ = "leases"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'settled', 'lost')", "state"),
        CheckConstraint("used_conversations >= 0 AND used_conversations <= conversations", "used_conversations"),
        CheckConstraint("used_credits >= 0 AND used_credits <= plan_credits + own_credits", "used_credits"),
        Index("ix_leases_user", "user_id", "created_at", "id"),
        Index("ix_leases_open", "ends_at", sqlite_where=HELD, postgresql_where=HELD),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    key_id: Mapped[UUID]
    client_id: Mapped[UUID | None]
    client_name: Mapped[str] = mapped_column(String(80))
    day: Mapped[date]
    month: Mapped[date]
    model: Mapped[str] = mapped_column(String(80), default="")
    conversations: Mapped[int]
    plan_credits: Mapped[int]
    own_credits: Mapped[int]
    used_conversations: Mapped[int] = mapped_column(default=0)
    used_credits: Mapped[int] = mapped_column(default=0)
    ttl_s: Mapped[int]
    state: Mapped[str] = mapped_column(String(10), default="open")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    # One ttl after expiry: till then the last report is still taken.
    ends_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class Refusal(Model):
    """Every refusal of one key for one reason in one minute: how often, and the numbers of the first and the last.

    The id is made from (user, key, code, minute), so each answer can name it without reading.
    """

    __tablename__ = "refusals"
    __table_args__ = (
        Index("ix_refusals_user", "user_id", "last_at", "id"),
        Index("ix_refusals_last_at", "last_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    key_id: Mapped[UUID]
    code: Mapped[str] = mapped_column(String(30))
    client_name: Mapped[str] = mapped_column(String(80))
    count: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    first_facts: Mapped[dict[str, Any]]
    last_facts: Mapped[dict[str, Any]]


class UsageWarning(Model):
    """The mark (80 or 100 percent) that a user's day reached: written with the spending, told by a job, once a day."""

    __tablename__ = "usage_warnings"
    __table_args__ = (
        Index("ix_usage_warnings_untold", "reached_at", sqlite_where=UNTOLD, postgresql_where=UNTOLD),
        Index("ix_usage_warnings_day", "day"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    mark: Mapped[int] = mapped_column(primary_key=True)
    daily_limit: Mapped[int]
    reached_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
