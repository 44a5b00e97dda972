"""Runs of jobs: what ran, when, how long, what came of it; and pauses."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update

from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.work.models import JobPause, JobRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from portal.core.actor import Actor

_run: ContextVar[UUID | None] = ContextVar("run", default=None)


@dataclass(frozen=True, slots=True)
class JobState:
    """What a page shows of one job."""

    name: str
    paused: bool
    last: JobRun | None


@contextmanager
def told_by(run_id: UUID) -> Iterator[None]:
    """What the block tells of its progress belongs to this run."""
    token = _run.set(run_id)
    try:
        yield
    finally:
        _run.reset(token)


def tell_progress(summary: str) -> None:
    """Write how far the run at hand is, in the transaction of the caller. Outside a run nobody is told."""
    run_id = _run.get()
    if run_id is not None:
        db.session.execute(
            update(JobRun)
            .where(JobRun.id == run_id)
            .values(summary=summary)
            .execution_options(synchronize_session=False)
        )


def latest_run(job: str) -> JobRun | None:
    """The run of this job that started last."""
    return db.session.scalars(
        select(JobRun).where(JobRun.job == job).order_by(JobRun.started_at.desc(), JobRun.id.desc()).limit(1)
    ).first()


def last_success(job: str) -> datetime | None:
    """When this job last ended well."""
    return db.session.scalar(select(func.max(JobRun.finished_at)).where(JobRun.job == job, JobRun.outcome == "done"))


def is_paused(job: str) -> bool:
    """Whether an admin paused this job."""
    return db.session.get(JobPause, job) is not None


@needs(Capability.JOB_READ)
def job_states(actor: Actor, names: list[str]) -> list[JobState]:
    """The state of each named job."""
    return [JobState(name, is_paused(name), latest_run(name)) for name in names]


@needs(Capability.JOB_READ)
def recent_runs(actor: Actor, job: str, *, most: int = 50) -> list[JobRun]:
    """The latest runs of one job."""
    return list(
        db.session.scalars(
            select(JobRun).where(JobRun.job == job).order_by(JobRun.started_at.desc(), JobRun.id.desc()).limit(most)
        )
    )


@needs(Capability.JOB_RUN)
def pause_job(actor: Actor, job: str) -> None:
    """Stop a job from being started by the clock; twice is as good as once."""
    if not is_paused(job):
        db.session.add(JobPause(job=job, since=clock.now(), by_name=actor.name))
        record(actor, events.JOB_PAUSED, Target("job", name=job), {"job": job})


@needs(Capability.JOB_RUN)
def resume_job(actor: Actor, job: str) -> None:
    """Let the clock start the job again."""
    if is_paused(job):
        db.session.execute(delete(JobPause).where(JobPause.job == job))
        record(actor, events.JOB_RESUMED, Target("job", name=job), {"job": job})


@needs(Capability.JOB_RUN)
def note_start_by_hand(actor: Actor, job: str) -> None:
    """Leave the audit entry of a start by hand."""
    record(actor, events.JOB_STARTED, Target("job", name=job), {"job": job})
