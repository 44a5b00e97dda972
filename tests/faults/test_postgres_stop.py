"""PostgreSQL stopped hard while many push: 503 until it is back, nothing answered is lost, no restart of ours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import migrate
from tests.faults.pushing import Ledger, pushing, record_of, settle
from tests.servers import Server
from tests.stoppable import StoppablePostgres, stoppable_postgres

PUSHES = 400
NAMES = [f"r-{number}" for number in range(PUSHES)]
PATIENCE_S = 60


@pytest.fixture
def stoppable() -> Iterator[StoppablePostgres]:
    """A PostgreSQL of this test."""
    with stoppable_postgres() as made:
        yield made


@pytest.fixture
def database_url(stoppable: StoppablePostgres, tmp_path: Path) -> str:
    """Its database, brought up to date."""
    migrate(stoppable.url, tmp_path)
    return stoppable.url


@pytest.mark.slow
def test_a_database_that_stops_and_comes_back(
    server: Server, stoppable: StoppablePostgres, token: str, ledger: Ledger
) -> None:
    server.start()
    (worker,) = server.worker_pids()
    with server.caller(token) as caller, pushing(server, token, ledger, NAMES):
        ledger.wait_for_answers(PUSHES // 3)
        stoppable.stop_hard()
        status, said = caller.post("/api/v1/message-logs", record_of("r-1"))
        assert (status, said["code"]) == (503, "UNAVAILABLE")
        assert caller.request("GET", "/health/live")[0] == 200
        assert caller.request("GET", "/health/ready")[0] == 503
        stoppable.start()
        deadline = time.monotonic() + PATIENCE_S
        while caller.post("/api/v1/message-logs", record_of("r-1"))[0] != 202:
            assert time.monotonic() < deadline, "it does not come back"
            time.sleep(0.2)
    assert server.worker_pids() == [worker]
    settle(server, token, ledger)
