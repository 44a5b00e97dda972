"""Pushing records: each judged on its own, taken once, and answered only when it is kept."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.accounts.models import Account, User
from portal.core.data_keys import destroy_data_key
from portal.core.database import db, transaction
from portal.core.settings import Settings
from portal.messages.flush import flush
from portal.messages.models import MessageLog
from portal.messages.sealing import open_words
from portal.messages.spool_file import FileSpool
from portal.messages.spool_protocol import Spool, body_of
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


def waiting(settings: Settings) -> list[dict[str, Any]]:
    """The records that lie in the spool's files."""
    bodies = [
        body_of(line)
        for path in sorted((settings.data_dir / "spool").glob("*.spool"))
        for line in path.read_bytes().splitlines(keepends=True)
    ]
    return [json.loads(body) for body in bodies if body is not None]


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


def test_a_line_that_cannot_be_read_is_rejected_and_the_rest_stands(gate: Machine) -> None:
    good = json.dumps(record(id="a")).encode()
    status, said = send(gate, good + b'\n{"half\n' + good.replace(b'"a"', b'"b"'), NDJSON)
    assert (status, said["accepted"], said["rejected"]) == (202, 2, 1)
    assert said["results"][1] == {"id": None, "status": "rejected", "error": "this is not valid JSON in UTF-8"}
    assert flush().stored == 2


def test_a_body_that_is_no_json_takes_nothing(gate: Machine, spool: Spool) -> None:
    good = json.dumps(record(id="a"))
    for body in ("", "{", f'{{"records": [{good}', f'{{"records": [{good}, nonsense]}}', f"{good}{good}", "\udc80"):
        status, said = send(gate, body.encode(errors="surrogateescape"))
        assert (status, said["code"]) == (400, "MALFORMED"), body
    assert spool.depth().size == 0


@pytest.mark.parametrize("kind", ["application/json", NDJSON])
def test_each_bad_record_is_told_and_the_rest_stands(gate: Machine, kind: str) -> None:
    ahead = (datetime.now(UTC) + timedelta(hours=25)).isoformat()
    texts = {name: json.dumps(record(id=name)) for name in ("first", "last")}
    bad = {
        "surrogate": '{"id": "b", "username": "alice", "prompt": "\\ud800"}',
        "deep": '{"id": "b", "username": "alice", "prompt": "x", "metadata": ' + "[" * 3000 + "]" * 3000 + "}",
        "1e400": '{"id": "b", "username": "alice", "prompt": "x", "metadata": {"a": 1e400}}',
        "twice: prompt": '{"id": "b", "username": "alice", "prompt": "x", "prompt": "y"}',
        "future": json.dumps(record(id="b", timestamp=ahead)),
        "unknown user: nobody": json.dumps(record(id="b", username="nobody")),
        "same user": json.dumps(record(id="b", user_id=str(make_account("bob").id))),
        "262144": json.dumps(record(id="b", messages=[{"role": "user", "content": "x" * (257 * 1024)}])),
        "object": "5",
    }
    parts = [texts["first"], *bad.values(), texts["last"]]
    body = "\n".join(parts) if kind == NDJSON else f'{{"records": [{", ".join(parts)}]}}'
    status, said = send(gate, body.encode(), kind)
    assert (status, said["accepted"], said["rejected"]) == (202, 2, len(bad))
    assert [result["status"] for result in said["results"]] == ["accepted", *["rejected"] * len(bad), "accepted"]
    for word, result in zip(bad, said["results"][1:-1], strict=True):
        assert word in result["error"]
        assert result["id"] == (None if word in {"deep", "object"} else "b"), word
    assert str(flush()) == "stored 2, duplicate 0, quarantined 0"


@pytest.mark.parametrize(
    "body", [{"records": record()}, {"records": None}, {"records": "a"}, {"records": [], "more": 1}], ids=str
)
def test_a_batch_of_another_shape_is_malformed(gate: Machine, body: dict[str, Any]) -> None:
    assert send(gate, json.dumps(body).encode())[0] in {400, 422}


def test_an_empty_batch_and_1001_records_are_refused_whole(gate: Machine, spool: Spool) -> None:
    for body in (b'{"records": []}', json.dumps({"records": [record()] * 1001}).encode()):
        status, said = send(gate, body)
        assert (status, said["code"], said["errors"][0]["pointer"]) == (422, "INVALID", "/records")
    assert send(gate, b"\n\n", NDJSON)[0] == 422
    assert spool.depth().size == 0


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


# ---- What is kept -------------------------------------------------------------------------------------------------


def keep(account: Account, choice: str) -> None:
    """What the user chose to have kept."""
    with transaction():
        db.session.get_one(User, account.id).keep_messages = choice


def test_nothing_is_kept_of_who_wants_nothing_kept(push: Push, alice: Account, settings: Settings) -> None:
    keep(alice, "nothing")
    assert push(record(id="a"), record(id="a", model="m-2"), record(username="bob")) == [
        ACCEPTED,
        ACCEPTED,
        ("rejected", "unknown user: bob"),
    ]
    assert waiting(settings) == []
    keep(alice, "plan")
    assert push(record(id="a", model="m-3")) == [ACCEPTED]
    assert flush().stored == 1


def test_no_word_is_kept_of_who_wants_metadata_kept(push: Push, alice: Account, settings: Settings) -> None:
    keep(alice, "metadata")
    said = record(id="a", messages=[{"role": "user", "content": "canary"}], metadata={"tag": "canary"}, model="m-1")
    assert push(said) == [ACCEPTED]
    (line,) = waiting(settings)
    assert (line["messages"], line["extra"], line["model"]) == ([], None, "m-1")
    assert "canary" not in json.dumps(line)
    assert push(said, {**said, "model": "m-2"}) == [DUPLICATE, TWIN]
    assert flush().stored == 1
    assert push(said) == [DUPLICATE]


@pytest.mark.parametrize("setting", [{"encrypt_messages": True}])
def test_words_are_sealed_before_they_lie_in_the_spool(push: Push, gate: Machine, settings: Settings) -> None:
    said = record(id="a", messages=[{"role": "user", "content": "canary"}], metadata={"tag": "canary"})
    assert push(said, {"username": "alice", "prompt": "canary"}) == [ACCEPTED] * 2
    assert push(said) == [DUPLICATE]
    lines = waiting(settings)
    assert len(lines) == 2
    for line in lines:
        assert "canary" not in json.dumps(line)
        assert (line["messages"], line["extra"]) == ([], None)
    words = open_words(uuid.UUID(lines[0]["user_id"]), uuid.UUID(lines[0]["log_id"]), lines[0]["sealed"])
    assert words == {"messages": said["messages"], "extra": said["metadata"]}


@pytest.mark.parametrize("setting", [{"encrypt_messages": True}])
def test_who_was_erased_meanwhile_is_unknown(push: Push, alice: Account, settings: Settings) -> None:
    with transaction():
        destroy_data_key(alice.id)
    assert push(record(id="a")) == [("rejected", "unknown user: alice")]
    assert waiting(settings) == []


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


def test_an_id_whose_words_are_gone_is_a_duplicate_whatever_it_says(push: Push) -> None:
    push(record(id="a"))
    flush()
    with transaction():
        db.session.execute(update(MessageLog).values(digest=b""))
    assert push(record(id="a"), record(id="a", model="m-2")) == [DUPLICATE] * 2


def test_of_two_bodies_with_one_id_at_once_one_is_taken(app: Flask, gate: Machine) -> None:
    """Every thread pushes the same ids, each with a body of its own; each id is accepted once."""
    headers, together = gate.headers(), threading.Barrier(6)
    answers: dict[int, list[str]] = {}

    def send_own(number: int) -> None:
        batch = [record(id=f"a-{one}", model=f"m-{number % 3}") for one in range(50)]
        client = app.test_client()
        together.wait()
        said = client.post("/api/v1/message-logs", json={"records": batch}, headers=headers).get_json()
        answers[number] = [result["status"] for result in said["results"]]

    threads = [threading.Thread(target=send_own, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in range(50):
        said = sorted(answers[number][one] for number in range(6))
        assert said == ["accepted", "duplicate", "rejected", "rejected", "rejected", "rejected"]
    assert str(flush()) == "stored 50, duplicate 0, quarantined 0"


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


def test_a_repeat_is_known_after_a_restart(push: Push, gate: Machine, settings: Settings, spool: Spool) -> None:
    push(record(id="a"))
    (line,) = waiting(settings)
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
def test_a_full_spool_takes_nothing_until_it_is_flushed(gate: Machine, push: Push, spool: Spool) -> None:
    big = [{"role": "user", "content": "x" * 200_000}]
    for number in range(5):
        assert push(record(id=f"a-{number}", messages=big)) == [ACCEPTED]
    before = spool.depth().size
    answer = gate.post("/message-logs", record(id="more", messages=big))
    assert (answer.status_code, spool.depth().size) == (503, before)
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
