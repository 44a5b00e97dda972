"""The load without wrk counts what a server answers."""

from __future__ import annotations

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from benchmarks.load import Load, Request
from benchmarks.trial import run_trial
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS = 2
ANSWERS = {
    "yes": (200, b'{"valid":true}'),
    "no": (200, b'{"valid":false,\n "code":"NO"}'),
    "both": (200, b'{"items":[{"valid":true},{"valid":false},{"valid":true}]}'),
    "oops": (500, b'{"code":"INTERNAL"}'),
    "moved": (302, b""),
    "front": (200, b'{"hello":"world"}'),
}


class Answering(BaseHTTPRequestHandler):
    """Answers as the body names it, and hangs up at any other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Counting

    def do_GET(self) -> None:
        """The front page."""
        self._answer("front")

    def do_POST(self) -> None:
        """What the first word of the body names."""
        self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _answer(self, said: str) -> None:
        name = said.partition(" ")[0]
        self.server.asked.append((said, self.path, self.client_address[1], self.headers["Idempotency-Key"]))
        self.close_connection = name not in ANSWERS
        if name in ANSWERS:
            status, body = ANSWERS[name]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class Counting(ThreadingHTTPServer):
    """Remembers what it was asked: body, path, the port of the connection, Idempotency-Key."""

    # Closed, it waits for its threads; they end with their connections.
    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[tuple[str, str, int, str | None]] = []


@contextmanager
def counting() -> Iterator[Counting]:
    """A server that answers."""
    with Counting() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def tried(server: Counting, request: Request) -> Load:
    """A short load on this server."""
    return run_trial(server.server_port, request, connections=CONNECTIONS, seconds=0.1, cores=frozenset())


def posted(*bodies: str, unique: bool = False) -> Request:
    """A POST of one of these bodies."""
    return Request("POST", "/verify", {"Content-Type": "text/plain"}, list(bodies), unique)


@pytest.mark.parametrize(
    ("name", "valid", "invalid", "wrong", "sample"),
    [
        ("yes", 1, 0, 0, ""),
        ("no", 0, 1, 0, '200 {"valid":false, "code":"NO"}'),
        ("both", 2, 1, 0, '200 {"items":[{"valid":true},{"valid":false},{"valid":true}]}'),
        ("oops", 0, 0, 1, '500 {"code":"INTERNAL"}'),
        ("moved", 0, 0, 1, "302 "),
    ],
)
def test_answers_are_counted(name: str, valid: int, invalid: int, wrong: int, sample: str) -> None:
    with counting() as server:
        load = tried(server, posted(name))
    assert load.requests == len(server.asked) >= CONNECTIONS
    assert (load.valid, load.invalid, load.wrong) == tuple(load.requests * each for each in (valid, invalid, wrong))
    assert (load.broken, load.sample) == (0, sample)


def test_bodies_are_mixed_and_counted_apart() -> None:
    with counting() as server:
        load = tried(server, posted(*ANSWERS))
    names = [name for name, *_ in server.asked]
    assert load.requests == len(names)
    assert load.valid == names.count("yes") + 2 * names.count("both")
    assert load.invalid == names.count("no") + names.count("both")
    assert load.wrong == names.count("oops") + names.count("moved")


def test_each_connection_is_kept() -> None:
    with counting() as server:
        load = tried(server, Request("GET", "/", {}, []))
    assert load.requests == len(server.asked)
    assert {path for _, path, _, _ in server.asked} == {"/"}
    assert len({port for _, _, port, _ in server.asked}) == CONNECTIONS
    assert load.seconds >= 0.1
    assert load.rate == load.requests / load.seconds
    assert 0 < load.p50_ms <= load.p99_ms <= load.max_ms <= load.seconds * 1000
    assert load.busy == 0


def test_each_unique_request_has_a_key_of_its_own() -> None:
    with counting() as server:
        tried(server, posted("yes", unique=True))
        tried(server, posted("yes", unique=True))
    keys = [key for *_, key in server.asked]
    assert None not in keys
    assert len(set(keys)) == len(keys) >= 2 * CONNECTIONS


def test_without_unique_there_is_no_key() -> None:
    with counting() as server:
        tried(server, posted("yes"))
    assert {key for *_, key in server.asked} == {None}


def test_a_lost_connection_is_counted_and_made_anew() -> None:
    with counting() as server:
        load = tried(server, posted("hang up"))
    assert load.broken == len(server.asked) >= CONNECTIONS
    assert len({port for _, _, port, _ in server.asked}) == len(server.asked)
    assert (load.requests, load.valid, load.max_ms) == (0, 0, 0)


def test_where_nobody_listens_everything_is_broken() -> None:
    load = run_trial(free_port(), posted("yes"), connections=CONNECTIONS, seconds=0, cores=frozenset())
    assert (load.requests, load.broken) == (0, CONNECTIONS)
