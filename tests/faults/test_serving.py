"""`doorward serve`: one server a port, workers that are replaced, nothing left behind when it dies."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Machine
from tests.programs import KEPT, ROOT
from tests.servers import Caller, Server, running_server

GONE_WITHIN_S = 15
# A server whose one worker misses the first signals to end; with "late" it is still being made when the server dies.
ORPHAN = """
import multiprocessing, os, signal, sys, time
from portal import serving

missed, late = int(sys.argv[1]), len(sys.argv) > 2
serving.KILL_AFTER_S = 2

def work(ready):
    server, heard = os.getppid(), []

    def hear(*_):
        heard.append(1)
        if len(heard) > missed:
            os._exit(0)

    if late:
        ready.send(os.getpid())
        while os.getppid() == server:
            time.sleep(0.01)
    serving.end_with_server()
    signal.signal(signal.SIGTERM, hear)  # as the server loop does, later
    if not late:
        ready.send(os.getpid())
    time.sleep(60)

here, there = multiprocessing.Pipe()
multiprocessing.get_context("fork").Process(target=work, args=(there,)).start()
print(here.recv(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of this module; whoever kills a part of it leaves it whole."""
    with running_server({"DURABILITY": "process"}) as started:
        yield started


def wait_for(happened: Callable[[], bool], what: str) -> None:
    """Until it has happened."""
    deadline = time.monotonic() + GONE_WITHIN_S
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def status_of(server: Server, path: str, headers: dict[str, str] | None = None) -> int:
    """The status of a page, asked by a program of its own."""
    with Caller(server.port, timeout=10) as caller:
        return caller.request("GET", path, headers=headers)[0]


def listens(port: int) -> bool:
    """Whether somebody holds the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def alive(group: int) -> bool:
    """Whether any process of the group runs (Linux: one that only waits to be reaped does not)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, _, its_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(its_group) == group and state != "Z":
                    return True
    return False


def test_a_second_server_on_the_port_is_refused_in_one_line(server: Server, tmp_path: Path) -> None:
    second = Server(tmp_path, {}, port=server.port)
    done = second.attempt("serve")
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert str(server.port) in line and "taken" in line
    server.wait_until_live()


def test_a_killed_worker_is_replaced(server: Server) -> None:
    (first,) = server.worker_pids()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: server.worker_pids() not in ([], [first]), "no new worker came")
    server.wait_until_live()
    assert server.process.poll() is None
    assert [status_of(server, "/health/live") for _ in range(20)] == [200] * 20


def send_in_chunks(server: Server, token: str, chunks: list[bytes]) -> bytes:
    """The answer to a body of no told length."""
    head = (
        "POST /api/v1/keys/verify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head.encode())
        with contextlib.suppress(OSError):  # it may answer before all is sent
            for chunk in [*chunks, b""]:
                connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        answer = b""
        with contextlib.suppress(OSError):  # what was not read any more is answered by a reset
            while part := connection.recv(65536):
                answer += part
        return answer


def test_a_body_in_chunks_is_read_up_to_the_limit(server: Server) -> None:
    token = server.make_client("keys:verify", name="chunked")
    answer = send_in_chunks(server, token, [b'{"key": ', b'"dw_nonsense"', b"}"])
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"KEY_UNKNOWN" in answer
    answer = send_in_chunks(server, token, [b'{"key": "', *([b"x" * 0x100000] * 10), b'"}'])
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"TOO_LARGE" in answer
    server.wait_until_live()


def test_slow_bodies_stop_nobody_else(server: Server) -> None:
    """Fewer than THREADS of them: each holds one thread."""
    head = "POST /api/v1/keys/verify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            slow.sendall(head.encode())
        began = time.monotonic()
        assert status_of(server, "/health/live") == 200
        assert time.monotonic() - began < 5


def test_a_long_header_and_a_thousand_parameters_are_no_fault_of_ours(server: Server) -> None:
    query = "&".join(f"a{number}=1" for number in range(1000))
    assert status_of(server, f"/?{query}") == 200
    with contextlib.suppress(OSError, http.client.HTTPException):  # hanging up is an answer too
        assert 400 <= status_of(server, "/", {"X-Long": "x" * 65536}) < 500
    server.wait_until_live()


@pytest.mark.parametrize("missed", [0, 1, 1_000_000], ids=["hears", "misses one", "hears nothing"])
@pytest.mark.parametrize("late", [False, True], ids=["ready", "still being made"])
def test_a_worker_ends_soon_after_its_server(missed: int, late: bool) -> None:
    command = [sys.executable, "-c", ORPHAN, str(missed), *(["late"] if late else [])]
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True) as server:
        assert server.stdout
        worker = int(server.stdout.readline())
        try:
            assert server.wait(GONE_WITHIN_S) == -signal.SIGKILL
            wait_for(lambda: not alive(server.pid), f"worker {worker} is still there")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("kill_a_worker_before_s", [None, 0, 0.3, 0.6, 1])
def test_a_killed_server_leaves_no_process_and_no_port_held(kill_a_worker_before_s: float | None) -> None:
    """However far the new worker has come when the server is killed."""
    with running_server(workers=2) as server:
        if kill_a_worker_before_s is not None:
            before = server.worker_pids()
            os.kill(before[0], signal.SIGKILL)
            wait_for(lambda: len(set(server.worker_pids()) - set(before)) == 1, "no new worker came")
            time.sleep(kill_a_worker_before_s)
        assert len(server.worker_pids()) == 2
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        wait_for(lambda: not listens(server.port), "the port is still held")
        wait_for(lambda: not alive(server.process.pid), "a worker is still there")
        server.start()
        assert len(server.worker_pids()) == 2


@pytest.mark.slow
def test_requests_under_way_are_answered_when_the_server_ends(
    served: Server, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    token, statuses = machine("keys:verify").token, Counter[int]()

    def ask() -> None:
        with served.caller(token) as caller, contextlib.suppress(OSError, http.client.HTTPException):
            while True:  # until the server hangs up
                statuses[caller.post("/api/v1/keys/verify", {"key": "dw_nonsense"})[0]] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    assert served.stop() == 0
    for thread in threads:
        thread.join(30)
    assert set(statuses) == {200}
    assert statuses[200] > 20
