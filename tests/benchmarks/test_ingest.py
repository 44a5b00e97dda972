"""The benchmark of pushes still runs: every case for a moment, on few users. What it measures here means nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from benchmarks.books import WrongBooks
from benchmarks.ledger import Ledger, check_ledger, waiting_bytes
from benchmarks.load import MARK, Request, key_of, new_prefix
from benchmarks.pushes import BATCH, MESSAGE_BYTES, TURNS, draw_messages, push_many, push_one
from benchmarks.stores import Store
from benchmarks.trial import run_trial
from benchmarks.verify import TRIAL
from tests.benchmarks.test_trial import counting
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

BRIEF = ("--users", "200", "--rounds", "1", "--seconds", "0.2", "--warm-up", "0", "--connections", "2")
ONCE = ("--rows", "1000", "--durability", "process", "--threads", "2", "--trial")
STORE = Store("sqlite:///nowhere", Path(), 300, "token")
BEFORE = Ledger(stored=10, aside=1, waiting=0)


def measured(*words: str, **environment: str) -> str:
    """What the command prints where there is no wrk."""
    command = [sys.executable, "-m", "benchmarks.ingest", *BRIEF, *ONCE, *words]
    given = {**os.environ, "PATH": "", "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_pushes_run_on_sqlite() -> None:
    said = measured("--database", "sqlite")
    for words in ("push of one", "flush alone", f"pushes of {BATCH}", "fdatasync", "message_search", TRIAL):
        assert words in said


@pytest.mark.xdist_group("benchmark database")  # its name tells its size: of two at once one drops the other's
@pytest.mark.slow
def test_pushes_run_on_postgresql(postgres: PostgresServer) -> None:
    address = postgres.url.render_as_string(hide_password=False)
    said = measured("--database", "postgresql", BENCHMARK_DATABASE_URL=address)
    for words in (f"pushes of {BATCH}", "ix_search_messages", "all together"):
        assert words in said


def test_each_push_has_ids_of_its_own() -> None:
    prefix = new_prefix()
    assert len(MARK) == len(key_of(prefix, 1)) == len(key_of(prefix, 10**10))
    for request, records in ((push_one(STORE), 1), (push_many(STORE), BATCH)):
        assert request.unique
        for body in request.bodies:
            found = json.loads(body.replace(MARK, key_of(prefix, 7)))
            pushed = found.get("records", [found])
            assert len({record["id"] for record in pushed}) == len(pushed) == records
            talks = {(record["conversation_id"], record["username"]) for record in pushed}
            assert len(talks) == -(-records // TURNS)


def test_what_is_said_has_the_size_it_is_called_by() -> None:
    chance = Random(1)
    sizes = [len(json.dumps(draw_messages(chance))) for _ in range(20)]
    assert all(abs(size - MESSAGE_BYTES) < 20 for size in sizes)


def test_marks_in_bodies_become_keys() -> None:
    request = Request("POST", "/", {}, [f"front {MARK} {MARK}"], unique=True, good='"hello"', bad="oops")
    with counting() as server:
        load = run_trial(server.server_port, request, connections=2, seconds=0.1, cores=frozenset())
    said = [name.split() for name, *_ in server.asked]
    assert all(first == second != MARK for _, first, second in said)
    assert len({first for _, first, _ in said}) == len(said) == load.valid > 1
    assert {key for *_, key in server.asked} == {None}


def test_what_waits_is_counted_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spool").mkdir()
    for name, size in (("a", 10), ("b", 30)):
        (tmp_path / "spool" / f"{name}.spool").write_bytes(b"x" * size)
    monkeypatch.setattr("benchmarks.ledger._rows", lambda *_: [("a.spool", 10), ("b.spool", 20), ("gone.spool", 99)])
    assert waiting_bytes(Store("sqlite:///nowhere", tmp_path, 1, "")) == 10


def test_a_record_lost_or_doubled_ends_the_run() -> None:
    check_ledger(BEFORE, Ledger(stored=15, aside=1, waiting=0), accepted=5, in_flight=2)
    check_ledger(BEFORE, Ledger(stored=17, aside=1, waiting=0), accepted=5, in_flight=2)
    for wrong in (
        Ledger(stored=14, aside=1, waiting=0),
        Ledger(stored=18, aside=1, waiting=0),
        Ledger(stored=15, aside=2, waiting=0),
        Ledger(stored=15, aside=1, waiting=7),
    ):
        with pytest.raises(WrongBooks):
            check_ledger(BEFORE, wrong, accepted=5, in_flight=2)
