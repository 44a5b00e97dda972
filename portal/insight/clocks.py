"""Whether this machine's clock can be believed: days, lifetimes and retention hang on it."""

from __future__ import annotations

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from portal.core import clock
from portal.core.database import db, dialect_name
from portal.insight.health import Part
from portal.work.models import JobRun

# Between two machines that ask the same time servers lies far less.
MOST_APART_S = 5.0


def check_clock() -> Part:
    """The clock beside that of a PostgreSQL server, and beside the latest run of a job. Never raises."""
    try:
        apart, ahead = _apart_from_database(), _behind_latest_run()
    except SQLAlchemyError:
        db.session.rollback()
        return Part("clock", "warning", "not known: the database does not answer", matters=False)
    now = clock.now().isoformat(timespec="seconds")
    if abs(apart) > MOST_APART_S:
        words = f"{now}, {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} the database's: set both by NTP"
        return Part("clock", "warning", words, matters=False)
    if ahead > MOST_APART_S:
        words = f"{now}, {ahead:.0f} s before the latest run of a job: it was set back, or was wrong then"
        return Part("clock", "warning", words, matters=False)
    return Part("clock", "ok", now, matters=False)


def _apart_from_database() -> float:
    """Seconds by which we are ahead; 0 for SQLite, which has no clock of its own."""
    if dialect_name() != "postgresql":
        return 0.0
    theirs = db.session.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    return clock.now().timestamp() - float(theirs)


def _behind_latest_run() -> float:
    latest = db.session.scalar(select(func.max(JobRun.started_at)))
    return (latest - clock.now()).total_seconds() if latest is not None else 0.0
