"""Accepted records outlive their server: killed, ended, or with a worker shot out of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.core import clock
from portal.core.database import db
from portal.core.settings import Settings
from portal.jobs.runner import run_job
from portal.messages.flush import flush
from portal.messages.models import MessageLog
from portal.messages.spool import spool_of
from portal.work.locks import LEASE
from tests.conftest import Machine
from tests.faults.pushing import Ledger, check, kill_rounds, pushing, record_of, settle
from tests.servers import Server

PUSHES = 300


@pytest.mark.slow
def test_kill_9_loses_and_doubles_nothing_that_was_answered(server: Server, token: str, ledger: Ledger) -> None:
    kill_rounds(server, token, ledger, rounds=2, pushes=PUSHES)
    server.start()
    settle(server, token, ledger)


@pytest.mark.slow
def test_an_orderly_end_flushes_what_was_accepted(
    server: Server, token: str, ledger: Ledger, settings: Settings
) -> None:
    server.settings["FLUSH_INTERVAL_S"] = "300"
    server.start()
    with pushing(server, token, ledger, [f"r-{number}" for number in range(PUSHES)]):
        ledger.wait_for_answers(PUSHES // 3)
        status = server.stop()
    assert status == 0, server.output
    check(ledger)
    assert spool_of(settings).depth().size == 0
    assert "Traceback" not in server.output


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_records_are_kept(server: Server, token: str, ledger: Ledger) -> None:
    server.start()
    try:
        (first,) = server.worker_pids()
        with pushing(server, token, ledger, [f"r-{number}" for number in range(PUSHES)]):
            ledger.wait_for_answers(PUSHES // 3)
            os.kill(first, signal.SIGKILL)
        server.wait_until_live()
        (second,) = server.worker_pids()
        assert second != first
        sent, _ = ledger.read()
        with pushing(server, token, ledger, sorted(sent)):
            pass
    finally:
        server.stop()
    flush()
    check(ledger)


@pytest.mark.slow
def test_a_flush_killed_in_the_middle_is_finished_by_the_next(
    server: Server, token: str, ledger: Ledger, settings: Settings, machine: Callable[..., Machine]
) -> None:
    gate, names = machine("logs:write", name="other gate"), [f"r-{number}" for number in range(1000)]
    assert gate.post("/message-logs", {"records": list(map(record_of, names))}).get_json()["accepted"] == 1000
    with ledger.path.open("a") as file:
        ledger.note(file, "sent", names)
        ledger.note(file, "answered", names)
    spool_of(settings).close()
    server.settings["FLUSH_MAX_ROWS"] = "10"
    command = server.begin("jobs", "run", "flush_message_logs")
    while stored() == 0:
        assert command.poll() is None, server.output
    command.kill()
    command.wait()
    before = stored()
    assert 0 < before < 1000
    assert flush().stored == 1000 - before
    check(ledger)
    assert spool_of(settings).depth().size == 0
    # The lock of the dead runner is over with its lease.
    clock.shift(LEASE + timedelta(seconds=1))
    run = run_job("flush_message_logs")
    assert run is not None
    assert run.outcome == "done"


def stored() -> int:
    """How many records stand in the database."""
    db.session.expire_all()
    return db.session.scalar(select(func.count()).select_from(MessageLog)) or 0
