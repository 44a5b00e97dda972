"""Running jobs: by hand or by the clock, each period once however many processes there are."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from flask import current_app
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from portal.audit.roots import seal_and_keep
from portal.core import clock, settings
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Unavailable
from portal.core.ids import new_id
from portal.core.text import gettext
from portal.jobs.table import JOBS, Job
from portal.messages.spool import spool_of
from portal.work.locks import LEASE, forget_locks, free_lock, renew_lock, take_lock
from portal.work.models import JobRun
from portal.work.runs import is_paused, told_by

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from flask import Flask

log = structlog.get_logger()
PATIENCE_S = 10
IDLE_S = 30
# Well within the lease, so that one failure does not lose the lock.
BEAT_S = LEASE.total_seconds() / 3
FLUSH = "flush_message_logs"
KEEP = timedelta(days=7)
KEEP_FREQUENT = timedelta(hours=2)
START = secrets.token_hex(4)


def clock_holder() -> str:
    """This process as the holder of locks. Asked for each time: the server forks its workers after this is imported."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{START}"


def host_id() -> str:
    """The id of this host, kept in DATA_DIR: what `per host` means."""
    path = settings.current().data_dir / "host-id"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        draft = path.with_suffix(f".{secrets.token_hex(4)}")
        draft.write_text(secrets.token_hex(8))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return path.read_text().strip()


def lock_of(job: Job) -> str:
    """The name of a job's lock."""
    return f"{job.name}@{host_id()}" if job.per_host else job.name


def period_of(job: Job, instant: datetime) -> str:
    """The slot of the clock that this instant falls into."""
    every = job.every_s or settings.current().flush_interval_s
    return str(int(instant.timestamp() // every))


def _take(lock: str, holder: str, *, patience_s: float) -> int | None:
    """The fence of the lock, waited for as long as patience lasts: a person at a page or prompt can wait."""
    give_up = clock.monotonic() + patience_s
    while True:
        with transaction():
            fence = take_lock(lock, holder)
        if fence is not None or clock.monotonic() >= give_up:
            return fence
        time.sleep(0.1)


def run_job(name: str, *, by_hand: bool = False) -> JobRun | None:
    """Run a job now, inside an application context. Answers its run, or None when somebody else has this period.

    By hand it runs at once and a held lock is a Conflict. What a job raises is in its run: outcome `failed`.
    Raises KeyError for an unknown name, Conflict.
    """
    job = JOBS[name]
    if not by_hand and is_paused(name):
        return None
    lock = lock_of(job)
    holder = f"{clock_holder()}-{threading.get_ident()}" if by_hand else clock_holder()
    fence = _take(lock, holder, patience_s=PATIENCE_S if by_hand else 0)
    if fence is None:
        if by_hand:
            raise Conflict(gettext("This job is running elsewhere just now."))
        return None
    run = JobRun(
        id=new_id(),
        job=name,
        lock=lock,
        period=f"hand-{secrets.token_hex(8)}" if by_hand else period_of(job, clock.now()),
        fence=fence,
        started_at=clock.now(),
        outcome="running",
        summary="",
    )
    try:
        with transaction():
            db.session.add(run)
            db.session.flush()
    except IntegrityError:  # another process had this period
        with transaction():
            free_lock(lock, holder)
        return None
    try:
        with _kept(lock, holder, fence), told_by(run.id):
            summary, outcome = job.work(), "done"
    except Exception as error:  # whatever a job raises belongs into its run row
        db.session.rollback()
        summary, outcome = _told(error), "failed"
        log.exception("job.failed", job=name)
    _finish(run, summary, outcome, lock, holder)
    return run


@contextmanager
def _kept(lock: str, holder: str, fence: int) -> Iterator[None]:
    """Renew the lock beside the block, from a thread with a connection of its own, for as long as the work takes."""
    over = threading.Event()
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # the application itself, for another thread
    beat = threading.Thread(target=_beat, args=(app, over, lock, holder, fence), name=f"lock {lock}", daemon=True)
    beat.start()
    try:
        yield
    finally:
        over.set()
        beat.join()


def _beat(app: Flask, over: threading.Event, lock: str, holder: str, fence: int) -> None:
    while not over.wait(BEAT_S):
        with app.app_context():
            try:
                with transaction():
                    mine = renew_lock(lock, holder, fence)
            except SQLAlchemyError as error:  # the database may be back before the lease is over
                log.warning("job.lock_not_renewed", lock=lock, error=type(error).__name__)
                continue
        if not mine:
            log.warning("job.lock_lost", lock=lock)
            return


def _told(error: Exception) -> str:
    """An error in words that both databases can keep: no NUL, no lone surrogate."""
    words = f"{type(error).__name__}: {error}".replace("\0", "")
    return words.encode("utf-8", "replace").decode()[:500]


def _finish(run: JobRun, summary: str, outcome: str, lock: str, holder: str) -> None:
    with transaction():
        db.session.execute(
            update(JobRun).where(JobRun.id == run.id).values(finished_at=clock.now(), outcome=outcome, summary=summary)
        )
        keep = KEEP_FREQUENT if JOBS[run.job].every_s < 60 else KEEP
        db.session.execute(delete(JobRun).where(JobRun.job == run.job, JobRun.started_at < clock.now() - keep))
        free_lock(lock, holder)


def _first_run_after(job: Job, place: int) -> timedelta:
    """Soon; but what runs once an hour or less waits its turn, so that a start is not a rush."""
    return timedelta(seconds=0.5 if job.every_s < 3600 else 60 + 10 * place)


class Clock:
    """The scheduler of one process: started by the server, stopped with it, after a last flush."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._ran: dict[str, float] = {}
        self.scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={"default": ThreadPoolExecutor(4)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 60},
        )

    def start(self) -> None:
        """Start every job of the table."""
        with self.app.app_context():
            interval = settings.current().flush_interval_s
        for place, job in enumerate(JOBS.values()):
            self.scheduler.add_job(
                self._tick,
                "interval",
                args=[job.name],
                seconds=job.every_s or interval,
                id=job.name,
                next_run_time=clock.now() - clock.offset() + _first_run_after(job, place),
            )
        self.scheduler.start()
        with self.app.app_context():
            spool_of(settings.current()).trigger.wake = self._wake

    def _wake(self) -> None:
        """Flush as soon as may be: so much waits that the next tick is too late for it. Never raises.

        Whoever pushed calls this once the record is kept, and no fault of ours here must tell them otherwise.
        """
        try:
            self.scheduler.add_job(self._flush_early, DateTrigger(), id="flush_early", replace_existing=True)
        except Exception as error:  # the next tick flushes
            log.warning("job.not_woken", job=FLUSH, error=type(error).__name__)

    def _flush_early(self) -> None:
        """A flush beside the periods: without a run row, and safe beside any other flush."""
        with self.app.app_context():
            try:
                if not is_paused(FLUSH):
                    JOBS[FLUSH].work()
            except Exception as error:  # it is tried again at the next tick, whose run tells of it
                db.session.rollback()
                log.warning("job.postponed", job=FLUSH, error=type(error).__name__)

    def _tick(self, name: str) -> None:
        with self.app.app_context():
            try:
                if self._is_idle(name):
                    return
                run_job(name)
                self._ran[name] = clock.monotonic()
            except (SQLAlchemyError, Unavailable, OSError) as error:
                db.session.rollback()
                log.warning("job.postponed", job=name, error=type(error).__name__)

    def _is_idle(self, name: str) -> bool:
        has_work, ran = JOBS[name].has_work, self._ran.get(name)
        return bool(has_work and ran is not None and clock.monotonic() - ran < IDLE_S and not has_work())

    def stop(self) -> None:
        """Wait for what runs, flush and seal once more, give the locks back."""
        with self.app.app_context():
            spool = spool_of(settings.current())
            spool.trigger.wake = None
        if self.scheduler.running:
            self.scheduler.shutdown(wait=True)
        with self.app.app_context():
            for work in (spool.close, JOBS[FLUSH].work, seal_and_keep, _forget_locks):
                try:
                    work()
                except Exception as error:  # what waits is kept; the rest of the end must still come
                    db.session.rollback()
                    log.warning("shutdown.not_done", work=work.__name__, error=type(error).__name__)


def _forget_locks() -> None:
    with transaction():
        forget_locks(clock_holder())
