"""The purge beside everything else: pushes are taken, conversations go on, nobody reads a half."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.core import clock
from portal.core.database import db
from portal.messages import purging
from portal.messages.models import Conversation
from portal.messages.purging import purge_message_logs
from portal.messages.reading import own_conversations
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.messages.purge_race import purge_beside_pushes
from tests.messages.stored import a_client, hits_of, index_is_whole, keep, record_of, store
from tests.people import actor_named, make_account

DAY = timedelta(days=1)


def test_while_two_thousand_are_purged_pushes_are_taken_and_read(
    app: Doorward, machine: Callable[..., Machine]
) -> None:
    purge_beside_pushes(app, machine, 2)


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
