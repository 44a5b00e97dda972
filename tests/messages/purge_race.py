"""The purge of many logs beside pushes, in rounds short and long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import func, select

from portal.clients.models import ServiceClient
from portal.core import clock
from portal.core.database import db
from portal.jobs.runner import run_job
from portal.messages.flush import flush
from portal.messages.models import Conversation, MessageContent, MessageLog
from portal.web.frame import Doorward
from portal.work.models import JobRun
from tests.conftest import Machine
from tests.messages.stored import hits_of, index_is_whole, record_of, store
from tests.people import make_account

DAY = timedelta(days=1)


def run_flush(app: Doorward) -> None:
    """Flush as a job would."""
    with app.app_context():
        flush()


def purge_beside_pushes(app: Doorward, machine: Callable[..., Machine], thousands: int) -> None:
    """So many thousand logs are purged while another pushes, flushes and reads: all is taken, and all of it goes."""
    gate, alice, bob = machine(), make_account("alice"), make_account("bob")
    client, then = db.session.scalars(select(ServiceClient.id)).one(), clock.now() - 31 * DAY
    for part in range(thousands):
        store(
            *(
                record_of(alice.id, client, f"{part}-{one}", f"nightjar {one}", received_at=then, at=then)
                for one in range(1000)
            )
        )
    statuses: list[int] = []
    told: list[str | None] = []
    over = threading.Event()

    def push() -> None:
        while not over.is_set():
            said = {"id": f"new-{len(statuses)}", "username": "bob", "prompt": "a lantern"}
            statuses.append(gate.post("/message-logs", said).get_json()["accepted"])
            run_flush(app)
            with app.app_context():
                told.append(db.session.scalar(select(JobRun.summary).where(JobRun.job == "purge_message_logs")))

    pusher = threading.Thread(target=push)
    pusher.start()
    try:
        run = run_job("purge_message_logs", by_hand=True)
    finally:
        over.set()
        pusher.join()
    run_flush(app)
    assert run is not None
    assert (run.outcome, run.summary) == (
        "done",
        f"purged the words of 0, whole logs {thousands}000, quarantined 0, openings 0",
    )
    assert set(statuses) == {1}
    assert len(set(told)) > 2, "the run tells how far it is"
    kept = db.session.execute(select(MessageLog.user_id, func.count()).group_by(MessageLog.user_id)).all()
    assert kept == [(bob.id, len(statuses))]
    assert db.session.scalar(select(func.count()).select_from(Conversation)) == len(statuses)
    assert db.session.scalar(select(func.count()).select_from(MessageContent)) == len(statuses)
    assert (hits_of("alice", "nightjar"), hits_of("bob", "lantern")) == (0, min(len(statuses), 50))
    assert index_is_whole()
