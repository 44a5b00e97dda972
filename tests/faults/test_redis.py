"""SPOOL=redis while its server is away, silent, full, locked or restarted: refused in time with 503, nothing that was
answered is lost, and it heals by itself."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.core.database import db
from portal.core.settings import Settings
from portal.insight.health import check_parts
from portal.jobs.runner import run_job
from portal.messages.models import MessageLog
from portal.messages.spool import spool_of
from portal.messages.spool_file import FileSpool
from portal.messages.spool_protocol import Entry, body_of, line_of
from portal.messages.spool_redis import BYTES, RedisSpool
from portal.messages.spool_server import SpoolServer, server_warnings
from tests.conftest import Machine
from tests.people import make_account
from tests.races import race
from tests.valkey import Valkey, keeping_valkey


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server of this test, on the disk."""
    with keeping_valkey(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
def setting(valkey: Valkey) -> dict[str, Any]:
    """What the application is told."""
    return {"spool": "redis", "redis_url": valkey.url, "durability": "power"}


@pytest.fixture
def alice(app: object) -> Account:
    """Somebody who talks."""
    return make_account("alice")


@pytest.fixture
def gate(alice: Account, machine: Callable[..., Machine]) -> Machine:
    """A client that pushes."""
    return machine("logs:write")


def push(gate: Machine, name: str, said: str = "hello") -> str | None:
    """What is answered to a record of this id; None for 503, which must say when to come again."""
    answer = gate.post("/message-logs", {"id": name, "username": "alice", "prompt": said})
    if answer.status_code == 503:
        assert answer.get_json()["code"] == "UNAVAILABLE"
        assert int(answer.headers["Retry-After"]) > 0
        return None
    assert answer.status_code == 202, answer.text
    status: str = answer.get_json()["results"][0]["status"]
    return status


def flushed() -> str:
    """What the job says of a flush."""
    run = run_job("flush_message_logs", by_hand=True)
    assert run is not None
    return run.summary if run.outcome == "done" else run.outcome


def stored() -> list[str]:
    """The ids in the database."""
    db.session.expire_all()
    return sorted(db.session.scalars(select(MessageLog.source_id)))


def part() -> tuple[str, str]:
    """State and words of the spool, as health tells them."""
    return next((one.state, one.words) for one in check_parts() if one.name == "spool")


def test_the_whole_way(gate: Machine, settings: Settings) -> None:
    assert [push(gate, "a"), push(gate, "b"), push(gate, "a"), push(gate, "a", "other")] == [
        "accepted", "accepted", "duplicate", "rejected",
    ]  # fmt: skip
    assert part()[0] == "ok"
    waiting = spool_of(settings).waiting()
    assert waiting == spool_of(settings).depth().size > 0
    assert flushed() == "stored 2, duplicate 0, quarantined 0"
    assert spool_of(settings).waiting() == 0
    assert [push(gate, "a"), push(gate, "a", "other")] == ["duplicate", "rejected"]
    assert stored() == ["a", "b"]
    assert not list((settings.data_dir / "spool").glob("*.spool"))


def test_what_an_earlier_spool_of_files_left_is_flushed_along(gate: Machine, settings: Settings) -> None:
    files = FileSpool(settings)
    push(gate, "a")
    line = next(spool_of(settings).batches(1, 1)).lines[0].raw
    body = (body_of(line) or b"").replace(b'"source_id":"a"', b'"source_id":"b"')
    log_id = json.loads(body)["log_id"]
    body = body.replace(log_id.encode(), str(uuid4()).encode())
    files.append([Entry("client", "b", b"digest", body)])
    files.close()
    held = len(line_of(body))
    depth = spool_of(settings).depth()
    assert (depth.size, depth.rows) == (len(line) + held, None)
    assert depth.age_s is not None
    assert flushed() == "stored 2, duplicate 0, quarantined 0"
    assert stored() == ["a", "b"]
    assert not list((settings.data_dir / "spool").glob("*.spool"))


def test_a_server_killed_and_started_again_has_all_that_was_answered(gate: Machine, valkey: Valkey) -> None:
    for number in range(20):
        assert push(gate, f"r-{number}") == "accepted"
    valkey.kill()
    assert push(gate, "late") is None
    assert part()[0] == "down"
    assert flushed() == "failed"
    valkey.start()
    assert push(gate, "r-3") == "duplicate"
    assert push(gate, "late") == "accepted"
    assert part()[0] == "ok"
    assert flushed() == "stored 21, duplicate 0, quarantined 0"
    assert flushed() == "stored 0, duplicate 0, quarantined 0"


def test_killed_while_many_push_no_answered_record_is_lost(gate: Machine, valkey: Valkey) -> None:
    answered: list[str] = []
    enough = threading.Event()

    def pusher(number: int) -> None:
        if number == 0:
            assert enough.wait(30)
            valkey.kill()
            time.sleep(0.3)
            valkey.start()
            return
        mine = Machine(gate.client.application.test_client(), gate.token)
        for turn in range(60):
            if push(mine, f"r-{number}-{turn}") == "accepted":
                answered.append(f"r-{number}-{turn}")
            if len(answered) > 40:
                enough.set()

    race(5, pusher)
    flushed()
    assert set(answered) <= set(stored())
    assert db.session.scalar(select(func.count()).select_from(MessageLog)) == len(stored()) <= 240


def test_a_silent_server_is_tried_by_one_at_a_time(
    gate: Machine, valkey: Valkey, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert push(gate, "a") == "accepted"
    valkey.freeze()
    assert push(gate, "b") is None  # after a time-out, and the others are not to wait for that
    spool = spool_of(settings)
    assert isinstance(spool, RedisSpool)
    trying, over = threading.Event(), threading.Event()

    def try_it(client: object) -> None:
        trying.set()
        assert over.wait(60)

    one = threading.Thread(target=spool.server.ask, args=[try_it])
    one.start()
    try:
        assert trying.wait(60)
        with monkeypatch.context() as watched:
            asked: list[object] = []
            watched.setattr(spool.server, "_connected", lambda: asked.append(1))
            assert [push(gate, name) for name in "bcd"] == [None] * 3
            assert asked == []
    finally:
        over.set()
        one.join()
    valkey.thaw()
    # What it was sent while it slept it may have kept: then this is its duplicate, and stored once either way.
    assert push(gate, "b") in {"accepted", "duplicate"}
    flushed()
    assert stored() == ["a", "b"]


def test_a_full_server_takes_nothing_and_loses_nothing(gate: Machine, valkey: Valkey) -> None:
    assert push(gate, "a") == "accepted"
    valkey.client().config_set("maxmemory", "1mb")
    before = valkey.client().get(BYTES)
    assert push(gate, "b") is None
    assert valkey.client().get(BYTES) == before
    # Flushing makes room, so it must not need any.
    assert flushed() == "stored 1, duplicate 0, quarantined 0"
    assert int(valkey.client().get(BYTES)) == 0
    valkey.client().config_set("maxmemory", "0")
    assert push(gate, "b") == "accepted"
    assert flushed() == "stored 1, duplicate 0, quarantined 0"


def test_a_wrong_password_is_refused_until_it_is_right(gate: Machine, valkey: Valkey) -> None:
    client = valkey.client()
    assert push(gate, "a") == "accepted"
    client.config_set("requirepass", "another")
    for other in client.client_list(_type="normal"):
        if int(other["id"]) != client.client_id():
            client.client_kill_filter(_id=other["id"])
    assert push(gate, "b") is None
    state, words = part()
    assert state == "down"
    assert "Authentication" in words
    assert flushed() == "failed"
    client.config_set("requirepass", "")
    assert push(gate, "b") == "accepted"
    assert flushed() == "stored 2, duplicate 0, quarantined 0"


def test_a_server_away_from_the_start(gate: Machine, valkey: Valkey, settings: Settings) -> None:
    valkey.kill()
    assert push(gate, "a") is None
    assert part()[0] == "down"
    assert spool_of(settings).warnings() == [
        "the server does not answer: cannot tell whether it keeps what it is given"
    ]
    valkey.start()
    assert push(gate, "a") == "accepted"


# ---- What a server does with what it is given ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("appendonly", "no", "a restart of the server loses what waits: set appendonly yes"),
        ("appendfsync", "everysec", "appendfsync everysec lets pushes wait"),
        ("appendfsync", "no", "the server never syncs its file: set appendfsync always"),
        ("maxmemory-policy", "allkeys-lru", "throws out records under maxmemory-policy allkeys-lru: set noeviction"),
    ],
)
def test_each_setting_that_loses_records_is_a_warning(
    gate: Machine, valkey: Valkey, settings: Settings, name: str, value: str, words: str
) -> None:
    assert spool_of(settings).warnings() == []
    valkey.client().config_set(name, value)
    (warning,) = spool_of(settings).warnings()
    assert words in warning
    state, said = part()
    assert state == "warning"
    assert words in said
    # It is warned of, not refused.
    assert [push(gate, "a"), push(gate, "b")] == ["accepted", "accepted"]
    assert flushed() == "stored 2, duplicate 0, quarantined 0"


@pytest.mark.parametrize("setting", [{}], indirect=True)
def test_one_that_may_not_be_asked_cannot_be_told(valkey: Valkey, tmp_path: Path, setting: dict[str, Any]) -> None:
    valkey.client().execute_command("ACL", "SETUSER", "spool", "on", ">word", "~*", "+@all", "-config", "-waitaof")
    server = SpoolServer(valkey.url.replace("redis://", "redis://spool:word@"), ["a"])
    assert server.ask(lambda client: server_warnings(client, power=True)) == [
        "cannot tell whether the server keeps what it is given: it does not allow CONFIG GET"
    ]
    server.close()
    server.close()
