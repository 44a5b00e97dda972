"""Job runs, locks and pauses as stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Model


class JobRun(Model):
    """One run of a job: unique per (job, lock, period), so no period is done twice."""

    __tablename__ = "job_runs"
    __table_args__ = (
        UniqueConstraint("job", "lock", "period"),
        Index("ix_job_runs_job", "job", "started_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    job: Mapped[str] = mapped_column(String(60))
    lock: Mapped[str] = mapped_column(String(100))
    period: Mapped[str] = mapped_column(String(40))
    fence: Mapped[int]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(String(10))
    summary: Mapped[str] = mapped_column(Text, default="")


class JobLock(Model):
    """Who may run a job now. `fence` grows with every taking, so a holder that slept too long is known as late."""

    __tablename__ = "job_locks"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    holder: Mapped[str] = mapped_column(String(100))
    fence: Mapped[int]
    expires_at: Mapped[datetime]


class JobPause(Model):
    """A job that an admin paused."""

    __tablename__ = "job_pauses"

    job: Mapped[str] = mapped_column(String(60), primary_key=True)
    since: Mapped[datetime]
    by_name: Mapped[str] = mapped_column(String(80))


class LongWork(Model):
    """One long work that somebody asked for: where it stands, who does it now, and the file it made, if any.

    `epoch` is that of the owner's account when it was asked for: a link to the file dies with it.
    `holder`, `fence` and `held_until` are its lock.
    """

    __tablename__ = "long_works"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'running', 'done', 'failed', 'stopped')", "state"),
        Index("ix_long_works_state", "state", "created_at"),
        Index("ix_long_works_owner", "owner_id", "created_at", "id"),
        Index("ix_long_works_expires", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id"))
    asked_by: Mapped[str] = mapped_column(String(80))
    arguments: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    done: Mapped[int] = mapped_column(BigInteger, default=0)
    total: Mapped[int | None] = mapped_column(BigInteger)
    stop_asked_at: Mapped[datetime | None]
    summary: Mapped[str] = mapped_column(Text, default="")
    file: Mapped[str | None] = mapped_column(String(200))
    link_digest: Mapped[bytes | None] = mapped_column(unique=True)
    expires_at: Mapped[datetime | None]
    epoch: Mapped[int] = mapped_column(default=0)
    holder: Mapped[str] = mapped_column(String(100), default="")
    fence: Mapped[int] = mapped_column(default=0)
    held_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
