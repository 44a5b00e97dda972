"""Job runs, locks and pauses as stored."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String, Text, UniqueConstraint
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
