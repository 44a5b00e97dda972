"""Facts about health: each part with its state, and whether it matters for serving."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from portal.clients.status_checks import count_late
from portal.core import clock, settings
from portal.core.database import db
from portal.insight.reconcile import DriftFound, drift_found
from portal.messages.purging import overdue_logs
from portal.messages.sealing import sealing_on
from portal.messages.sealing_job import open_logs
from portal.messages.spool import spool_of
from portal.work.runs import last_success

LEAST_FREE = 64 * 1024 * 1024
JOB_LATE = timedelta(minutes=5)
LEDGER_LATE = timedelta(days=3)
FLUSH_JOB = "flush_message_logs"


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its name, `ok`, `warning` or `down`, words, and whether being down stops the service."""

    name: str
    state: str
    words: str
    matters: bool = True


def check_parts() -> list[Part]:
    """All parts. Never raises."""
    parts = [_database(), _spool(), _disk(), _memory(), _jobs(), _ledger(), _clients()]
    return [*parts, _sealing()] if sealing_on() else parts


def is_ready(parts: list[Part]) -> bool:
    """Whether the service can do its work."""
    return not any(part.state == "down" and part.matters for part in parts)


def drift_now() -> DriftFound | None:
    """What the last comparison of balances with the ledger found; None before the first, and without a database."""
    try:
        return drift_found()
    except SQLAlchemyError:
        db.session.rollback()
        return None


def _database() -> Part:
    try:
        db.session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        db.session.rollback()
        return Part("database", "down", type(error).__name__)
    return Part("database", "ok", "answers")


def _spool() -> Part:
    found = spool_of(settings.current()).state()
    return Part("spool", found.state, found.words)


def _disk() -> Part:
    try:
        free = shutil.disk_usage(settings.current().data_dir).free
    except OSError as error:
        return Part("disk", "down", error.strerror or "unreadable")
    return Part("disk", "ok" if free > LEAST_FREE else "down", f"{free // 1024**2} MiB free")


def _memory() -> Part:
    try:
        with Path("/proc/self/statm").open() as file:
            used = int(file.read().split()[1]) * 4096 // 1024**2
    except OSError:
        return Part("memory", "ok", "not known here", matters=False)
    limit = settings.current().memory_limit_mb
    return Part("memory", "ok" if used < limit else "warning", f"{used} of {limit} MiB", matters=False)


def _jobs() -> Part:
    try:
        last = last_success(FLUSH_JOB)
    except SQLAlchemyError:
        db.session.rollback()
        return Part("jobs", "warning", "not known", matters=False)
    if last is None:
        return Part("jobs", "warning", "have not run yet", matters=False)
    late = clock.now() - last > JOB_LATE
    return Part("jobs", "warning" if late else "ok", f"last flush {last.isoformat(timespec='seconds')}", matters=False)


def _ledger() -> Part:
    """Whether every balance was the sum of its entries when they were compared last."""
    try:
        found = drift_found()
    except SQLAlchemyError:
        db.session.rollback()
        return Part("ledger", "warning", "not known", matters=False)
    if found is None:
        return Part("ledger", "ok", "not compared yet", matters=False)
    at = found.checked_at.isoformat(timespec="seconds")
    if found.count:
        words = f"{found.count} of {found.checked} balances differ from their entries, by {found.credits} credits, {at}"
        return Part("ledger", "warning", words, matters=False)
    late = clock.now() - found.checked_at > LEDGER_LATE
    return Part("ledger", "warning" if late else "ok", f"{found.checked} balances agree, {at}", matters=False)


def overdue_now() -> int | None:
    """How many of the oldest logs are past their clock, up to a bound; None without a database."""
    try:
        return overdue_logs()
    except SQLAlchemyError:
        db.session.rollback()
        return None


def unsealed_now() -> int | None:
    """How many logs may lie open although sealing is on, at most; None while it is off, and without a database."""
    if not sealing_on():
        return None
    try:
        return open_logs()
    except SQLAlchemyError:
        db.session.rollback()
        return None


def _sealing() -> Part:
    """How far the job is that seals what was kept before."""
    left = unsealed_now()
    if left is None:
        return Part("sealing", "warning", "not known", matters=False)
    words = f"at most {left} logs lie open still, a job seals them" if left else "every log is sealed"
    return Part("sealing", "warning" if left else "ok", words, matters=False)


def _clients() -> Part:
    """Whether everybody who posts signs of life did so lately."""
    try:
        late = count_late()
    except SQLAlchemyError:
        db.session.rollback()
        return Part("clients", "warning", "not known", matters=False)
    return Part("clients", "warning" if late else "ok", f"{late} late" if late else "nobody is late", matters=False)
