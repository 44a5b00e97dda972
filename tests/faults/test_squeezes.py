"""A server whose disk is full, or that is out of files or memory: refused, not lost, and healed without a restart."""

from __future__ import annotations

import http.client
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.pushing import Ledger, pushing, record_of, settle
from tests.servers import Caller, Server

PUSHES = 300
NAMES = [f"r-{number}" for number in range(PUSHES)]


@contextmanager
def limited(server: Server, what: int, most: int) -> Iterator[None]:
    """The workers may have no more than this; what they have already stays theirs."""
    pids = server.worker_pids()
    before = {pid: resource.prlimit(pid, what) for pid in pids}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, what, (most, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, what, limits)


def ask(caller: Caller, method: str, path: str, value: object = None) -> tuple[int, bool]:
    """The status of a call, and whether it says when to come again."""
    body = None if value is None else json.dumps(value).encode()
    status, _, headers = caller.request(method, path, body, {"Content-Type": "application/json"})
    return status, int(headers.get("retry-after", "0")) > 0


@pytest.mark.slow
def test_a_full_disk_takes_nothing_more_and_reads_go_on(server: Server, token: str, ledger: Ledger) -> None:
    """RLIMIT_FSIZE refuses every write to a file, of the spool, the database and the log alike."""
    server.start()
    with pushing(server, token, ledger, NAMES):
        ledger.wait_for_answers(PUSHES // 3)
        with limited(server, resource.RLIMIT_FSIZE, 0), server.caller(token) as caller:
            for turn in range(10):
                assert ask(caller, "POST", "/api/v1/message-logs", record_of(f"full-{turn}")) == (503, True)
            assert ask(caller, "GET", "/health/live") == (200, False)
            assert ask(caller, "GET", "/api/v1/message-logs") == (200, False)
    with server.caller(token) as caller:
        assert caller.post("/api/v1/message-logs", record_of("r-0"))[0] == 202
    settle(server, token, ledger)


@pytest.mark.slow
def test_without_free_files_it_refuses_and_heals(server: Server, token: str, ledger: Ledger) -> None:
    server.start()
    (worker,) = server.worker_pids()
    with pushing(server, token, ledger, NAMES):
        ledger.wait_for_answers(PUSHES // 3)
        used = len(list(Path(f"/proc/{worker}/fd").iterdir()))
        late = Caller(server.port, token, timeout=2)
        with limited(server, resource.RLIMIT_NOFILE, used), suppress(OSError, http.client.HTTPException), late:
            ask(late, "GET", "/health/live")
    server.wait_until_live()
    assert server.worker_pids() == [worker]
    settle(server, token, ledger)


@pytest.mark.slow
def test_without_memory_what_was_answered_is_kept(server: Server, token: str, ledger: Ledger) -> None:
    """A call may be refused, or its worker end and be replaced; nothing that was answered is lost."""
    server.start()
    (worker,) = server.worker_pids()
    with pushing(server, token, ledger, NAMES):
        ledger.wait_for_answers(PUSHES // 3)
        pages = int(Path(f"/proc/{worker}/statm").read_text().split()[0])
        with limited(server, resource.RLIMIT_AS, pages * resource.getpagesize()):
            large = {"records": [{"id": f"m-{n}", "username": "nobody", "prompt": "x" * 200_000} for n in range(38)]}
            with suppress(OSError, http.client.HTTPException), Caller(server.port, token, timeout=20) as caller:
                ask(caller, "POST", "/api/v1/message-logs", large)
    server.wait_until_live()
    settle(server, token, ledger)
