"""A client that pushes records, and what came of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from portal.accounts.models import Account
from portal.core import clock
from portal.core.settings import Settings, load
from portal.messages.spool import spool_of
from portal.messages.spool_file import FileSpool
from portal.messages.spool_protocol import Spool, body_of, line_of
from tests.conftest import Machine
from tests.messages.spools import Make
from tests.people import make_account


@pytest.fixture
def alice(app: object) -> Account:
    """Somebody who talks."""
    return make_account("alice")


@pytest.fixture
def gate(alice: Account, machine: Callable[..., Machine]) -> Machine:
    """A client with every scope."""
    return machine()


@pytest.fixture
def push(gate: Machine) -> Callable[..., list[tuple[str, str | None]]]:
    """Push records of Alice: `push({"id": "a", "prompt": "hello"}, …)` answers (status, error) of each."""

    def send(*records: Any) -> list[tuple[str, str | None]]:
        answer = gate.post("/message-logs", {"records": list(records)})
        assert answer.status_code == 202, answer.text
        said = answer.get_json()
        results = [(result["status"], result["error"]) for result in said["results"]]
        for status in ("accepted", "duplicate", "rejected"):
            assert said[status] == sum(one == status for one, _ in results)
        return results

    return send


@pytest.fixture
def spool(settings: Settings) -> Spool:
    """The spool of this process for this test."""
    spool = spool_of(settings)
    assert isinstance(spool, FileSpool)
    return spool


def spooled(spool: FileSpool) -> list[Path]:
    """The spool files of the host, the one written last at the end."""
    return [one.path for one in spool.folder.listed()]


def last_line(spool: FileSpool) -> dict[str, Any]:
    """The record that was pushed last, as spooled."""
    body = body_of(spooled(spool)[-1].read_bytes().splitlines(keepends=True)[-1])
    assert body is not None
    made: dict[str, Any] = orjson.loads(body)
    return made


def changed(line: dict[str, Any], **fields: Any) -> bytes:
    """A line like this one, with a right checksum."""
    return line_of(orjson.dumps({**line, "log_id": str(uuid.uuid4()), **fields}))


def leave_behind(spool: FileSpool, name: str, *lines: bytes) -> Path:
    """A file of a process that is gone."""
    path = spool.folder.ready() / f"{name}.spool"
    path.write_bytes(b"".join(lines))
    return path


def record(**fields: Any) -> dict[str, Any]:
    """A record of Alice's, as a client writes it."""
    return {"username": "alice", "messages": [{"role": "user", "content": "hello"}], **fields}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes spools on one folder, as so many processes have; `make(spool_max_bytes=…)`."""
    made = []

    def make_one(**given: Any) -> FileSpool:
        made.append(FileSpool(load({}, folder=tmp_path, data_dir=tmp_path, **given)))
        return made[-1]

    yield make_one
    for spool in made:
        spool.close()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds pass for whoever measures time."""
    passed = [0.0]
    measured = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: measured() + passed[0])

    def wait(seconds: float) -> None:
        passed[0] += seconds

    return wait
