"""Long work with its progress: asked for by a person, done by a job, survives a reload and a restart, can be stopped.

Knows no work by name: the table of jobs fills WORKERS.
"""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import and_, or_, select, update

from portal.core import clock
from portal.core.access import open_to_all
from portal.core.actor import ActorKind
from portal.core.database import db, transaction
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.work.models import LongWork

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from portal.core.actor import Actor

log = structlog.get_logger()
LEASE = timedelta(seconds=60)
MOST_SHOWN = 50
ACCOUNTS = {ActorKind.USER, ActorKind.STAFF, ActorKind.ADMIN}
DIED = "The process that did this ended before it was done."


class Stopped(Exception):
    """Somebody asked to stop this work. What it made so far is to be put away."""


class GivenUp(Exception):
    """This work cannot be done; its text, a word of the worker's own, is why."""


class TakenOver(Stopped):
    """Another process does this work by now; this one must write nothing more."""


@dataclass(frozen=True, slots=True)
class Worker:
    """How one kind of work is done.

    `run` gets the work (a copy that belongs to no session) outside any transaction, calls `advance` at least every
    half minute, and answers what came of it in a line. One that `resumes` goes on from `work.done` after its
    process died; any other has failed then.
    """

    run: Callable[[LongWork], str]
    resumes: bool = False


WORKERS: dict[str, Worker] = {}


def begin_work(actor: Actor, kind: str, arguments: dict[str, Any], *, epoch: int = 0) -> LongWork:
    """Ask for a work of this kind, in the transaction at hand. The verb that calls this has checked who asks.

    `arguments` must be JSON. `epoch` is that of the actor's account, where a link to the file shall die with it.
    """
    work = LongWork(
        id=new_id(),
        kind=kind,
        owner_id=actor.id if actor.kind in ACCOUNTS else None,
        asked_by=actor.name[:80],
        arguments=arguments,
        epoch=epoch,
        created_at=clock.now(),
    )
    db.session.add(work)
    db.session.flush()
    return work


@open_to_all("shows nobody's works but the actor's own")
def own_works(actor: Actor, kind: str | None = None) -> list[LongWork]:
    """The works the actor asked for, latest first, 50 at most."""
    if actor.id is None:
        return []
    query = select(LongWork).where(LongWork.owner_id == actor.id)
    if kind is not None:
        query = query.where(LongWork.kind == kind)
    query = query.order_by(LongWork.created_at.desc(), LongWork.id.desc()).limit(MOST_SHOWN)
    return list(db.session.scalars(query))


@open_to_all("shows nobody's works but the actor's own")
def own_work(actor: Actor, work_id: UUID) -> LongWork:
    """One work the actor asked for. Raises NotFound."""
    work = db.session.get(LongWork, work_id)
    if work is None or actor.id is None or work.owner_id != actor.id:
        raise NotFound
    return work


@open_to_all("stops nobody's works but the actor's own")
def stop_work(actor: Actor, work_id: UUID) -> None:
    """Stop a work of the actor's: at once when it only waits, else at its next step. Twice is as good as once."""
    own_work(actor, work_id)
    now = clock.now()
    db.session.execute(
        update(LongWork)
        .where(LongWork.id == work_id, LongWork.state == "waiting")
        .values(state="stopped", stop_asked_at=now, finished_at=now)
    )
    db.session.execute(
        update(LongWork)
        .where(LongWork.id == work_id, LongWork.state == "running", LongWork.stop_asked_at.is_(None))
        .values(stop_asked_at=now)
    )


def advance(work: LongWork, done: int, total: int | None = None) -> None:
    """Write down how far a work is, in a transaction of its own, and hold it for another LEASE.

    Raises Stopped when somebody asked for it, TakenOver when another process has the work by now.
    """
    values: dict[str, Any] = {"done": done, "held_until": clock.now() + LEASE}
    if total is not None:
        values["total"] = total
    with transaction():
        row = db.session.execute(
            update(LongWork)
            .where(_held(work))
            .values(**values)
            .returning(LongWork.stop_asked_at)
            .execution_options(synchronize_session=False)
        ).first()
    if row is None:
        raise TakenOver
    work.done, work.total = done, total if total is not None else work.total
    if row.stop_asked_at is not None:
        raise Stopped


def works_wait() -> bool:
    """Whether `do_long_works` would find something: a work that waits, or one whose process died."""
    return db.session.scalar(select(LongWork.id).where(_to_be_had()).limit(1)) is not None


def do_long_works() -> int:
    """Do the works that wait, one after the other, earliest first. Returns how many were done or given up."""
    count = 0
    while (work := _take()) is not None:
        _do(work)
        count += 1
    return count


def _to_be_had() -> Any:
    left = and_(LongWork.state == "running", LongWork.held_until <= clock.now())
    return or_(LongWork.state == "waiting", left)


def _held(work: LongWork) -> Any:
    return and_(
        LongWork.id == work.id,
        LongWork.state == "running",
        LongWork.holder == work.holder,
        LongWork.fence == work.fence,
    )


def _take() -> LongWork | None:
    """The next work, held by this process; one guarded statement decides among several who ask."""
    while True:
        query = select(LongWork).where(_to_be_had()).order_by(LongWork.created_at, LongWork.id).limit(1)
        found = db.session.scalars(query.execution_options(populate_existing=True)).first()
        if found is None:
            return None
        db.session.expunge(found)
        now = clock.now()
        holder = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        with transaction():
            fence = db.session.execute(
                update(LongWork)
                .where(LongWork.id == found.id, LongWork.fence == found.fence, _to_be_had())
                .values(
                    state="running",
                    holder=holder,
                    fence=LongWork.fence + 1,
                    held_until=now + LEASE,
                    started_at=found.started_at or now,
                )
                .returning(LongWork.fence)
                .execution_options(synchronize_session=False)
            ).scalar()
        if fence is not None:
            found.holder, found.fence = holder, fence
            return found


def _do(work: LongWork) -> None:
    """Do one work that was just taken. `work.state` is what it was before."""
    worker = WORKERS.get(work.kind)
    if work.stop_asked_at is not None:
        _finish(work, "stopped", "")
    elif worker is None:
        _finish(work, "failed", f"Nobody here knows how to do {work.kind}.")
    elif work.state == "running" and not worker.resumes:
        _finish(work, "failed", DIED)
    else:
        try:
            summary, state = worker.run(work), "done"
        except TakenOver:
            return
        except Stopped:
            summary, state = "", "stopped"
        except GivenUp as why:
            db.session.rollback()
            summary, state = str(why), "failed"
        except Exception as error:  # whatever a work raises belongs into its row
            db.session.rollback()
            log.exception("long_work.failed", kind=work.kind)
            summary, state = type(error).__name__, "failed"
        _finish(work, state, summary)


def _finish(work: LongWork, state: str, summary: str) -> None:
    with transaction():
        db.session.execute(
            update(LongWork)
            .where(_held(work))
            .values(state=state, summary=summary[:500], finished_at=clock.now(), held_until=None)
            .execution_options(synchronize_session=False)
        )
