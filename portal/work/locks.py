"""Taking and giving back a job lock: one guarded statement decides, so any number of instances may ask."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from portal.core import clock
from portal.core.database import db
from portal.work.models import JobLock

LEASE = timedelta(seconds=30)


def take_lock(name: str, holder: str) -> int | None:
    """The fence number when this holder now has (or renews) the lock for LEASE, else None."""
    now = clock.now()
    statement = (
        update(JobLock)
        .where(JobLock.name == name, (JobLock.expires_at <= now) | (JobLock.holder == holder))
        .values(holder=holder, fence=JobLock.fence + 1, expires_at=now + LEASE)
        .returning(JobLock.fence)
        .execution_options(synchronize_session=False)
    )
    fence = db.session.execute(statement).scalar()
    if fence is not None:
        return fence
    try:
        with db.session.begin_nested():
            db.session.execute(insert(JobLock).values(name=name, holder=holder, fence=1, expires_at=now + LEASE))
    except IntegrityError:
        return None
    return 1


def renew_lock(name: str, holder: str, fence: int) -> bool:
    """Hold the lock for another LEASE. False when it was taken or freed since: then stop, and write nothing more."""
    renewed = db.session.execute(
        update(JobLock)
        .where(JobLock.name == name, JobLock.holder == holder, JobLock.fence == fence)
        .values(expires_at=clock.now() + LEASE)
        .returning(JobLock.fence)
        .execution_options(synchronize_session=False)
    )
    return renewed.scalar() is not None


def free_lock(name: str, holder: str) -> None:
    """Let others have the lock at once; the fence is kept."""
    db.session.execute(
        update(JobLock)
        .where(JobLock.name == name, JobLock.holder == holder)
        .values(expires_at=clock.now(), holder="")
        .execution_options(synchronize_session=False)
    )


def forget_locks(holder: str) -> None:
    """Let others have every lock of a holder that ends; the fences are kept."""
    db.session.execute(
        update(JobLock)
        .where(JobLock.holder == holder)
        .values(expires_at=clock.now(), holder="")
        .execution_options(synchronize_session=False)
    )
