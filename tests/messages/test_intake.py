"""Pushing records: each judged on its own, taken once, and answered only when it is kept."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.settings import Settings
from portal.messages.flush import flush
from portal.messages.models import MessageLog
from portal.messages.spool import FileSpool, read_line
from portal.privacy.deletion import delete_user
from tests.conftest import Machine
from tests.messages.conftest import record
from tests.people import make_account

Push = Callable[..., list[tuple[str, str | None]]]
ACCEPTED, DUPLICATE = ("accepted", None), ("duplicate", None)
TWIN = ("rejected", "another record has this id")
NDJSON = "application/x-ndjson"


def stored() -> int:
    """How many records stand in the database."""
    return db.session.scalar(select(func.count()).select_from(MessageLog)) or 0


def send(gate: Machine, body: bytes, kind: str = "application/json") -> tuple[int, Any]:
    """Push raw bytes."""
    answer = gate.client.post("/api/v1/message-logs", data=body, content_type=kind, headers=gate.headers())
    return answer.status_code, answer.get_json(force=True)


# ---- Forms --------------------------------------------------------------------------------------------------------


def test_one_record_is_taken(gate: Machine) -> None:
    answer = gate.post("/message-logs", record(id="a-1"))
    assert answer.status_code == 202
    assert answer.get_json() == {
        "accepted": 1, "duplicate": 0, "rejected": 0,
        "results": [{"id": "a-1", "status": "accepted", "error": None}],
    }  # fmt: skip


def test_a_batch_is_answered_in_its_order(gate: Machine) -> None:
    batch = [record(id=f"a-{n}") for n in range(20)]
    batch[7] = {"id": "a-7", "username": "nobody", "prompt": "x"}
    said = gate.post("/message-logs", {"records": batch}).get_json()
    assert (said["accepted"], said["rejected"]) == (19, 1)
    assert [result["id"] for result in said["results"]] == [f"a-{n}" for n in range(20)]
    assert said["results"][7]["status"] == "rejected"


def test_lines_of_json_are_a_batch(gate: Machine) -> None:
    lines = b"\n".join(json.dumps(record(id=f"a-{n}")).encode() for n in range(3))
    status, said = send(gate, b"\n" + lines + b"\r\n\n", NDJSON)
    assert (status, said["accepted"]) == (202, 3)


def test_a_line_that_cannot_be_read_takes_nothing(gate: Machine, spool: FileSpool) -> None:
    status, said = send(gate, json.dumps(record(id="a")).encode() + b'\n{"half', NDJSON)
    assert (status, said["code"]) == (400, "MALFORMED")
    assert spool.depth() == 0


@pytest.mark.parametrize(
    "body", [{"records": record()}, {"records": None}, {"records": "a"}, {"records": [], "more": 1}], ids=str
)
def test_a_batch_of_another_shape_is_malformed(gate: Machine, body: dict[str, Any]) -> None:
    assert send(gate, json.dumps(body).encode())[0] in {400, 422}


def test_an_empty_batch_and_1001_records_are_refused_whole(gate: Machine, spool: FileSpool) -> None:
    for body in (b'{"records": []}', json.dumps({"records": [record()] * 1001}).encode()):
        status, said = send(gate, body)
        assert (status, said["code"], said["errors"][0]["pointer"]) == (422, "INVALID", "/records")
    assert send(gate, b"\n\n", NDJSON)[0] == 422
    assert spool.depth() == 0


def test_1000_records_are_taken(push: Push) -> None:
    assert push(*(record(id=str(n)) for n in range(1000))) == [ACCEPTED] * 1000
    assert flush().stored == 1000


def test_a_record_over_256_kib_is_rejected_and_the_rest_stands(push: Push) -> None:
    big = record(id="big", messages=[{"role": "user", "content": "x" * (257 * 1024)}])
    (first, *_), (status, error), (last, *_) = push(record(id="a"), big, record(id="b"))
    assert (first, status, last) == ("accepted", "rejected", "accepted")
    assert error is not None and "262144" in error


def test_a_call_over_8_mib_is_too_large(gate: Machine) -> None:
    body = json.dumps({"records": [record(prompt="x" * 200_000)] * 42}).encode()
    assert len(body) > 8 * 1024 * 1024
    status, said = send(gate, body)
    assert (status, said["code"]) == (413, "TOO_LARGE")


# ---- Who ----------------------------------------------------------------------------------------------------------


def test_an_unknown_user_is_rejected_by_name_and_the_rest_stands(push: Push, alice: Account) -> None:
    for name in ("ada", "tess"):
        make_account(name)
    nobody = uuid.uuid4()
    strangers = [record(username="carol"), record(username="ada"), record(username="tess"), record(user_id=str(nobody))]
    results = push(record(id="a"), *strangers, record(id="b"))
    assert [status for status, _ in results] == ["accepted", *["rejected"] * 4, "accepted"]
    assert [error for _, error in results[1:-1]] == [
        f"unknown user: {name}" for name in ("carol", "ada", "tess", nobody)
    ]


def test_a_user_may_be_named_by_id_name_or_address(push: Push, alice: Account) -> None:
    named: list[dict[str, Any]] = [
        {"user_id": str(alice.id)},
        {"username": "ALICE "},
        {"user": "alice"},
        {"username": "Alice@example.org"},
    ]
    assert push(*({**who, "prompt": "hello"} for who in named)) == [ACCEPTED] * 4
    flush()
    assert set(db.session.scalars(select(MessageLog.user_id))) == {alice.id}


def test_a_deleted_user_is_unknown(push: Push, alice: Account) -> None:
    with transaction():
        delete_user(operator_actor().because("a test"), alice.id, typed_name="alice")
    results = push(record(), {"user_id": str(alice.id), "prompt": "x"}, record(username=f"deleted-{alice.id.hex}"))
    assert [status for status, _ in results] == ["rejected"] * 3


# ---- Once ---------------------------------------------------------------------------------------------------------


def test_a_repeat_in_the_spool_is_a_duplicate(push: Push) -> None:
    assert [push(record(id="a"))[0] for _ in range(3)] == [ACCEPTED, DUPLICATE, DUPLICATE]
    assert (flush().stored, stored()) == (1, 1)


def test_a_repeat_in_the_database_is_a_duplicate(push: Push) -> None:
    push(record(id="a"))
    flush()
    assert push(record(id="a")) == [DUPLICATE]
    assert (flush().stored, stored()) == (0, 1)


def test_a_repeat_in_one_batch_is_a_duplicate(push: Push) -> None:
    assert push(record(id="a"), record(id="b"), record(id="a")) == [ACCEPTED, ACCEPTED, DUPLICATE]
    assert flush().stored == 2


def test_an_id_with_other_content_is_rejected_wherever_the_first_is(push: Push) -> None:
    other = record(id="a", model="m-2")
    assert push(record(id="a"), other) == [ACCEPTED, TWIN]
    assert push(other) == [TWIN]
    flush()
    assert push(other, record(id="a")) == [TWIN, DUPLICATE]


def test_the_same_record_written_otherwise_is_a_duplicate(gate: Machine) -> None:
    send(gate, b'{"id": "a", "username": "alice", "prompt": "\\u00fc", "metadata": {"x": 1, "y": [1.0]}}')
    other = '{"metadata":{"y":[1.0],"x":1},"user":"alice","prompt":"ü","id":"a"}'.encode()
    assert send(gate, other)[1]["duplicate"] == 1


def test_records_without_an_id_get_one_each(gate: Machine) -> None:
    ids = [gate.post("/message-logs", record()).get_json()["results"][0]["id"] for _ in range(3)]
    assert len({uuid.UUID(one) for one in ids}) == 3
    assert flush().stored == 3


def test_two_clients_may_use_the_same_id(push: Push, machine: Callable[..., Machine]) -> None:
    other = machine(name="other gate")
    assert push(record(id="a")) == [ACCEPTED]
    assert other.post("/message-logs", record(id="a", model="m-2")).get_json()["accepted"] == 1
    assert flush().stored == 2


def test_an_idempotency_key_changes_nothing(gate: Machine) -> None:
    said = [
        gate.post("/message-logs", record(id=one), headers={"Idempotency-Key": "k"}).get_json()
        for one in ("a", "b", "a")
    ]
    assert [(one["accepted"], one["duplicate"]) for one in said] == [(1, 0), (1, 0), (0, 1)]


def test_a_repeat_is_known_after_a_restart(push: Push, gate: Machine, settings: Settings, spool: FileSpool) -> None:
    push(record(id="a"))
    line = read_line(spool.files()[0].read_bytes())
    assert line is not None
    fresh = FileSpool(settings)
    assert fresh.known(line["client_id"], "a") == bytes.fromhex(line["digest"])
    assert fresh.known(line["client_id"], "b") is None
    assert fresh.known(str(uuid.uuid4()), "a") is None
    fresh.close()


# ---- Durable or refused -------------------------------------------------------------------------------------------


def refused(gate: Machine) -> None:
    """A push is refused with 503 and the time to wait."""
    answer = gate.post("/message-logs", record(id="refused"))
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert answer.get_json()["code"] == "UNAVAILABLE"
    assert int(answer.headers["Retry-After"]) > 0


def test_no_folder_no_promise(gate: Machine, settings: Settings) -> None:
    folder = settings.data_dir / "spool"
    folder.write_text("a file where the folder should be")
    refused(gate)
    folder.unlink()
    assert gate.post("/message-logs", record(id="refused")).get_json()["accepted"] == 1
    assert flush().stored == 1


def test_a_folder_that_vanishes_is_noticed_or_survived(push: Push, gate: Machine, settings: Settings) -> None:
    """What is accepted into a file that somebody removed would be lost."""
    folder = settings.data_dir / "spool"
    assert push(record(id="a")) == [ACCEPTED]
    assert flush().stored == 1
    folder.rename(settings.data_dir / "moved")
    folder.write_text("a file where the folder should be")
    refused(gate)


@pytest.mark.parametrize("setting", [{"spool_max_bytes": 1024 * 1024}])
def test_a_full_spool_takes_nothing_until_it_is_flushed(gate: Machine, push: Push, spool: FileSpool) -> None:
    big = [{"role": "user", "content": "x" * 200_000}]
    for number in range(5):
        assert push(record(id=f"a-{number}", messages=big)) == [ACCEPTED]
    before = spool.depth()
    answer = gate.post("/message-logs", record(id="more", messages=big))
    assert (answer.status_code, spool.depth()) == (503, before)
    assert "Retry-After" in answer.headers
    assert flush().stored == 5
    assert push(record(id="more", messages=big)) == [ACCEPTED]
    assert flush().stored == 1


@pytest.mark.parametrize("setting", [{"spool_max_bytes": 1024 * 1024}])
def test_a_small_spool_serves_for_ever(push: Push) -> None:
    big = [{"role": "user", "content": "x" * 250_000}]
    for number in range(12):
        assert push(record(id=f"a-{number}", messages=big)) == [ACCEPTED]
        assert flush().stored == 1
