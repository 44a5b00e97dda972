"""The purge beside everything else: pushes are taken, conversations go on, nobody reads a half."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.clients.models import ServiceClient
from portal.core import clock
from portal.core.database import db
from portal.jobs.runner import run_job
from portal.messages import purging
from portal.messages.flush import flush
from portal.messages.models import Conversation, MessageContent, MessageLog
from portal.messages.purging import purge_message_logs
from portal.messages.reading import own_conversations
from portal.web.frame import Doorward
from portal.work.models import JobRun
from tests.conftest import Machine
from tests.messages.stored import a_client, hits_of, index_is_whole, keep, record_of, store
from tests.people import actor_named, make_account

DAY = timedelta(days=1)


def test_while_ten_thousand_are_purged_pushes_are_taken_and_read(
    app: Doorward, machine: Callable[..., Machine]
) -> None:
    gate, alice, bob = machine(), make_account("alice"), make_account("bob")
    client, then = db.session.scalars(select(ServiceClient.id)).one(), clock.now() - 31 * DAY
    for part in range(10):
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
    assert (run.outcome, run.summary) == ("done", "purged the words of 0, whole logs 10000, quarantined 0, openings 0")
    assert set(statuses) == {1}
    assert len(set(told)) > 2, "the run tells how far it is"
    kept = db.session.execute(select(MessageLog.user_id, func.count()).group_by(MessageLog.user_id)).all()
    assert kept == [(bob.id, len(statuses))]
    assert db.session.scalar(select(func.count()).select_from(Conversation)) == len(statuses)
    assert db.session.scalar(select(func.count()).select_from(MessageContent)) == len(statuses)
    assert (hits_of("alice", "nightjar"), hits_of("bob", "lantern")) == (0, min(len(statuses), 50))
    assert index_is_whole()


def run_flush(app: Doorward) -> None:
    with app.app_context():
        flush()


def test_a_conversation_goes_on_while_its_old_part_is_purged(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 1)
    alice = make_account("alice")
    client, faults = a_client(), []
    for one in range(60):
        keep(alice.id, f"nightjar {one}", clock.now() - 31 * DAY, conversation=f"talk {one % 3}")

    def go_on() -> None:
        with app.app_context():
            for one in range(60):
                try:
                    store(record_of(alice.id, client, f"new {one}", "a lantern", conversation=f"talk {one % 3}"))
                except Exception as fault:  # told below
                    faults.append(fault)

    other = threading.Thread(target=go_on)
    other.start()
    purge_message_logs()
    other.join()
    assert faults == []
    talks = db.session.execute(select(Conversation.exchanges, Conversation.title)).all()
    assert talks == [(20, "a lantern")] * 3
    assert index_is_whole()


def test_nobody_reads_half_of_what_is_purged_meanwhile(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 5)
    alice = make_account("alice", keep_messages="7")
    for one in range(100):
        keep(alice.id, f"nightjar {one}", clock.now() - 8 * DAY)
    faults, over = [], threading.Event()

    def read() -> None:
        with app.app_context():
            while not over.is_set():
                try:
                    hits_of("alice", "nightjar")
                    own_conversations(actor_named("alice"))
                except Exception as fault:  # told below
                    faults.append(fault)
                db.session.rollback()

    reader = threading.Thread(target=read)
    reader.start()
    purge_message_logs()
    over.set()
    reader.join()
    assert faults == []
    assert hits_of("alice", "nightjar") == 0
