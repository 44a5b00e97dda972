"""Pushes through the express lane and through Flask: the same records are taken, and the same ones refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.accounts.models import User
from portal.api.express import ROUTES
from portal.clients.models import ServiceClient
from portal.clients.service import disable_client
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.settings import Settings
from portal.messages.flush import flush
from portal.messages.models import MessageLog
from portal.web.frame import Doorward
from tests.api.lanes import Lanes, same
from tests.conftest import Machine
from tests.people import make_account

PUSH = list(ROUTES)[-1]
SPOKEN = [{"role": "user", "content": "a lantern"}]


@pytest.fixture
def lanes(app: Doorward) -> Lanes:
    """Both ways into the application."""
    return Lanes(app)


def test_good_records_are_taken_alike(lanes: Lanes, machine: Callable[..., Machine]) -> None:
    alice, headers = make_account("alice"), machine().headers()
    first: dict[str, Any] = {"id": "a", "username": "alice", "messages": SPOKEN, "usage": {"input_tokens": 3}}
    for body in (
        {"username": "Alice@example.org ", "prompt": "hello"},
        {"records": [{"user_id": str(alice.id), "prompt": str(number)} for number in range(30)]},
        {"records": [{"username": "alice", "prompt": "x"}, {"username": "nobody", "prompt": "x"}, 5, {"id": "b"}]},
    ):
        said = lanes.post(PUSH, json.dumps(body).encode(), headers)
        for answer in said:
            assert answer.status_code == 202
            for result in answer.get_json()["results"]:
                if result["status"] == "accepted":
                    assert str(UUID(result["id"])) == result["id"]
        assert [without_ids(answer) for answer in said] == [without_ids(said[0])] * 2
    one, again = lanes.post(PUSH, json.dumps(first).encode(), headers)
    assert [one.get_json()["accepted"], again.get_json()["duplicate"]] == [1, 1]
    assert same(lanes.post(PUSH, json.dumps(first).encode(), headers)).get_json()["duplicate"] == 1
    other = {**first, "model": "m-2"}
    assert same(lanes.post(PUSH, json.dumps(other).encode(), headers)).get_json()["rejected"] == 1
    assert str(flush()).startswith("stored 65, duplicate 0")
    assert same(lanes.post(PUSH, json.dumps(first).encode(), headers)).get_json()["duplicate"] == 1
    assert same(lanes.post(PUSH, json.dumps(other).encode(), headers)).get_json()["rejected"] == 1


def without_ids(answer: TestResponse) -> list[tuple[str, str | None]]:
    """What was said of each record."""
    return [(result["status"], result["error"]) for result in answer.get_json()["results"]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (b"\xff\xfe", 400),
        (b'{"records": {}}', 400),
        (b'{"records": [], "more": 1}', 400),
        (b'{"records": []}', 422),
        (b'{"records": [' + b"1," * 1000 + b"1]}", 422),
        (b"[]", 202),
        (b"null", 202),
        (b'{"nonsense": 1}', 202),
        (b'{"username": "alice", "prompt": "\\ud800"}', 202),
        (b'{"username": "alice", "prompt": "x", "metadata": {"a": 1e400}}', 202),
        (b'{"username": "alice", "username": "alice", "prompt": "x"}', 202),
        (b'{"username": "alice", "prompt": "x", "metadata": ' + b'{"a":' * 2000 + b"1" + b"}" * 2001, 202),
    ],
    ids=lambda part: str(part)[:40],
)
def test_bad_records_are_refused_alike(lanes: Lanes, machine: Callable[..., Machine], body: bytes, status: int) -> None:
    make_account("alice")
    answer = same(lanes.post(PUSH, body, machine().headers()))
    assert answer.status_code == status
    if status == 202:
        assert without_ids(answer)[0][0] == "rejected"


@pytest.mark.parametrize(
    ("choice", "second", "stored"), [("nothing", "accepted", 0), ("metadata", "duplicate", 1), ("7", "duplicate", 1)]
)
def test_what_a_user_wants_kept_is_minded_alike(
    lanes: Lanes, machine: Callable[..., Machine], settings: Settings, choice: str, second: str, stored: int
) -> None:
    alice = make_account("alice")
    with transaction():
        db.session.get_one(User, alice.id).keep_messages = choice
    body = b'{"id": "a", "username": "alice", "prompt": "canary", "metadata": {"tag": "canary"}}'
    answers = [answer.get_json()["results"][0]["status"] for answer in lanes.post(PUSH, body, machine().headers())]
    assert answers == ["accepted", second]
    spooled = b"".join(path.read_bytes() for path in (settings.data_dir / "spool").glob("*.spool"))
    assert (b"canary" in spooled) == (choice == "7")
    assert flush().stored == stored


def test_other_names_of_fields_are_read_alike(lanes: Lanes, machine: Callable[..., Machine]) -> None:
    make_account("alice")
    headers = machine().headers()
    first = b"""{"id": "a", "username": "alice", "timestamp": "2026-01-01T00:00:00Z",
        "messages": [{"role": "user", "content": "hi"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}"""
    other = b"""{"id": "b", "user": "alice", "created_at": "2026-01-01T00:00:00Z",
        "prompt": "hi", "usage": {"input_tokens": 1, "output_tokens": 2}}"""
    for body in (first, other):
        statuses = [answer.get_json()["results"][0]["status"] for answer in lanes.post(PUSH, body, headers)]
        assert statuses == ["accepted", "duplicate"]
    flush()
    rows = db.session.scalars(select(MessageLog)).all()
    facts = {(row.user_id, row.at, row.prompt_tokens, row.completion_tokens, row.total_tokens) for row in rows}
    assert (len(rows), len(facts)) == (2, 1)


def test_a_call_that_is_too_large_is_refused_alike(lanes: Lanes, machine: Callable[..., Machine]) -> None:
    make_account("alice")
    record = b'{"username": "alice", "prompt": "%s"}' % (b"x" * 200_000)
    body = b'{"records": [%s]}' % b",".join([record] * 48)
    assert len(body) > 9 * 1024 * 1024
    assert same(lanes.post(PUSH, body, machine().headers())).status_code == 413
    assert flush().stored == 0


def test_a_push_minds_no_idempotency_key(lanes: Lanes, machine: Callable[..., Machine]) -> None:
    make_account("alice")
    headers = {**machine().headers(), "Idempotency-Key": "\u00e9" * 3}
    body = b'{"id": "a", "username": "alice", "prompt": "x"}'
    assert [answer.get_json()["accepted"] for answer in lanes.post(PUSH, body, headers)] == [1, 0]


def test_what_cannot_be_kept_is_refused_alike(
    lanes: Lanes, machine: Callable[..., Machine], settings: Settings
) -> None:
    make_account("alice")
    (settings.data_dir / "spool").write_text("a file where the folder should be")
    answer = same(lanes.post(PUSH, b'{"username": "alice", "prompt": "x"}', machine().headers()))
    assert (answer.status_code, answer.get_json()["code"]) == (503, "UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_client_that_is_remembered_and_disabled_meanwhile_keeps_nothing(
    lanes: Lanes, machine: Callable[..., Machine]
) -> None:
    make_account("alice")
    headers, body = machine().headers(), b'{"username": "alice", "prompt": "x"}'
    for answer in lanes.post(PUSH, body, headers):
        assert answer.get_json()["accepted"] == 1
    with transaction():
        disable_client(operator_actor(), db.session.scalars(select(ServiceClient.id)).one())
    for refused in (body, b'{"username": "nobody", "prompt": "x"}', b"[]", b"{"):
        assert same(lanes.post(PUSH, refused, headers)).status_code == 401
    assert flush().stored == 2
