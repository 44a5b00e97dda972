"""A database that somebody else holds: refused in time and by its number, nothing spent, healed by itself."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from sqlalchemy.engine import make_url

from portal.jobs.runner import run_job
from tests.conftest import Machine
from tests.people import make_account

IMPATIENT = pytest.mark.parametrize("setting", [{"db_timeout_s": 1}])


@contextmanager
def held(url: str, table: str) -> Iterator[None]:
    """Somebody writes for long: to the whole file, or to this table."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(parsed.database or "", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        return
    address = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as locker, locker.transaction(force_rollback=True):
        locker.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield


@IMPATIENT
def test_verify_says_when_to_come_again_and_spends_nothing(
    database_url: str, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine(), key_of(make_account("alice"))
    assert gate.post("/keys/verify", {"key": key}).get_json()["daily"]["used"] == 1
    with held(database_url, "usage_days"):
        began = time.monotonic()
        answer = gate.post("/keys/verify", {"key": key})
        assert time.monotonic() - began < 6
        assert (answer.status_code, answer.get_json()["code"]) == (503, "UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) > 0
        assert gate.client.get("/health/live").status_code == 200
    assert gate.post("/keys/verify", {"key": key}).get_json()["daily"]["used"] == 2


@IMPATIENT
def test_records_are_taken_all_the_same_and_stored_afterwards(
    database_url: str, machine: Callable[..., Machine], capsys: pytest.CaptureFixture[str]
) -> None:
    make_account("alice")
    gate = machine()
    with held(database_url, "message_contents"):
        answer = gate.post("/message-logs", {"id": "a", "username": "alice", "prompt": "hello"})
        assert answer.status_code == 202
    run = run_job("flush_message_logs", by_hand=True)
    assert run is not None
    assert run.summary == "stored 1, duplicate 0, quarantined 0"


@IMPATIENT
def test_a_flush_that_finds_the_table_held_keeps_the_records(
    database_url: str, machine: Callable[..., Machine], capsys: pytest.CaptureFixture[str]
) -> None:
    if database_url.startswith("sqlite"):
        return  # there the lock of the job cannot be had either
    make_account("alice")
    machine().post("/message-logs", {"id": "a", "username": "alice", "prompt": "hello"})
    with held(database_url, "message_contents"):
        failed = run_job("flush_message_logs", by_hand=True)
        assert failed is not None
        assert failed.outcome == "failed"
    run = run_job("flush_message_logs", by_hand=True)
    assert run is not None
    assert run.summary == "stored 1, duplicate 0, quarantined 0"
