"""Checking the chain of the audit log from the console: a long work, for the walk takes as long as the log is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from portal.accounts.models import Account, State
from portal.audit.verifying import verify_chain
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db, transaction
from portal.messages.export_files import asker_of
from portal.work.long_work import GivenUp, Worker, advance, begin_work
from portal.work.models import LongWork

if TYPE_CHECKING:
    from portal.core.actor import Actor

CHECK_AUDIT = "check_audit"
GOING_ON = ("waiting", "running")
ADVANCE_S = 1.0


@needs(Capability.AUDIT_READ)
def begin_check(actor: Actor) -> LongWork:
    """Have the chain checked; where that goes on already, by whomever, that one. What it finds stands in the log."""
    going = latest_check()
    if going is not None and going.state in GOING_ON:
        return going
    over = delete(LongWork).where(LongWork.kind == CHECK_AUDIT, LongWork.state.not_in(GOING_ON))
    db.session.execute(over.execution_options(synchronize_session=False))
    asker = db.session.get_one(Account, actor.id)
    return begin_work(actor, CHECK_AUDIT, {}, epoch=asker.epoch)


def latest_check() -> LongWork | None:
    """The check that was asked for last."""
    query = select(LongWork).where(LongWork.kind == CHECK_AUDIT)
    return db.session.scalars(query.order_by(LongWork.created_at.desc(), LongWork.id.desc()).limit(1)).first()


def _check(work: LongWork) -> str:
    """Walk the chain. Raises Stopped, TakenOver, GivenUp."""
    asker = asker_of(work, State.ACTIVE)
    if not asker.may(Capability.AUDIT_READ):
        raise GivenUp("gone")
    last = clock.monotonic() - ADVANCE_S

    def tell(done: int, total: int) -> None:
        nonlocal last
        if clock.monotonic() - last >= ADVANCE_S:
            advance(work, done, total)
            last = clock.monotonic()

    with transaction():
        verdict = verify_chain(asker, told=tell)
    return "broken" if verdict.fault else "whole"


CHECK_WORKER = Worker(_check)
