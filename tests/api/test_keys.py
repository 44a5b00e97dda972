"""POST /api/v1/keys/verify."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from portal.core import clock
from tests.conftest import Machine
from tests.people import make_account

DECEMBER = "2031-12-10T12:00:00+00:00"


@pytest.fixture
def december(app: object) -> None:
    """A day on which nothing special happens."""
    clock.shift(datetime.fromisoformat(DECEMBER) - clock.now())


def test_a_good_key_is_answered_as_the_contract_has_it(
    december: None, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice", time_zone="Europe/Berlin")
    answer = machine().post("/keys/verify", {"key": key_of(alice)})
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    body: dict[str, Any] = answer.get_json()
    assert str(uuid.UUID(body.pop("key_id")))
    assert body.pop("decision_id").startswith("ok_")
    assert body == {
        "valid": True,
        "code": "VALID",
        "scopes": [],
        "user": {"id": str(alice.id), "username": "alice", "plan": "free"},
        "daily": {
            "limit": 100,
            "used": 1,
            "remaining": 99,
            "resets_at": "2031-12-11T00:00:00+01:00",
            "time_zone": "Europe/Berlin",
        },
        "credits": {"remaining": 0},
    }


def test_a_refusal_tells_what_is_left_and_when_it_clears(
    december: None, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    key = key_of(make_account("alice", daily_limit_override=0))
    answer = machine().post("/keys/verify", {"key": key})
    assert answer.status_code == 200
    body = answer.get_json()
    assert (body["valid"], body["code"]) == (False, "DAILY_LIMIT_REACHED")
    assert body["daily"] == {
        "limit": 0, "used": 0, "remaining": 0, "resets_at": "2031-12-11T00:00:00+00:00", "time_zone": "UTC",
    }  # fmt: skip
    assert body["credits"] == {"remaining": 0}
    assert body["clears_at"] == "2031-12-11T00:00:00+00:00"


def test_an_unknown_key_is_an_answer_not_an_error(machine: Callable[..., Machine]) -> None:
    answer = machine().post("/keys/verify", {"key": "dw_nonsense"})
    assert answer.status_code == 200
    assert answer.get_json()["code"] == "KEY_UNKNOWN"


@pytest.mark.parametrize(
    "cost",
    [
        {"conversations": -1}, {"conversations": 1.5}, {"conversations": 1_000_001}, {"conversations": 2**63},
        {"conversations": 10**30}, {"conversations": True}, {"conversations": "1"}, {"conversations": None},
        {"conversations": [1]}, {"credits": -1}, {"credits": 0.5}, {"credits": 1_000_001}, {"credits": 2**64},
        {"credits": False}, {"credits": "5"}, {"units": 1}, [], 1, "1", None,
    ],
    ids=str,
)  # fmt: skip
def test_units_that_are_no_whole_number_in_bounds_are_refused(
    machine: Callable[..., Machine], key_of: Callable[..., str], cost: object
) -> None:
    gate, key = machine(), key_of(make_account("alice"))
    answer = gate.client.post(
        "/api/v1/keys/verify", headers=gate.headers(), json={"key": key, "cost": cost, "model": "m"}
    )
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert answer.get_json()["errors"][0]["pointer"].startswith("/cost")
    assert gate.post("/keys/verify", {"key": key}).get_json()["daily"]["used"] == 1


def test_bounds_are_within(machine: Callable[..., Machine], key_of: Callable[..., str]) -> None:
    gate, key = machine(), key_of(make_account("alice"))
    for cost in ({"conversations": 0}, {"conversations": 1_000_000}, {"credits": 0}, {"credits": 1_000_000}, {}):
        assert gate.post("/keys/verify", {"key": key, "cost": cost}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {}, {"key": None}, {"key": 5}, {"key": ["dw_"]}, {"key": "dw_x", "extra": 1}, {"Key": "dw_x"}, [], "dw_x",
        5, False, {"key": "dw_x", "scopes": "chat"}, {"key": "dw_x", "scopes": [1]}, {"key": "dw_x", "ip": 5},
        {"key": "dw_x", "model": None}, {"key": "dw_x", "model": "m" * 81}, {"key": "dw_x", "model": "m\0"},
        {"key": "dw_\0"}, {"key": "dw_" + "x" * 1_000_000},
    ],
    ids=lambda body: str(body)[:40],
)  # fmt: skip
def test_other_shapes_are_refused_by_name(machine: Callable[..., Machine], body: object) -> None:
    gate = machine()
    answer = gate.client.post("/api/v1/keys/verify", headers=gate.headers(), json=body)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    said = answer.get_json()
    assert (said["status"], said["code"]) == (422, "INVALID")
    assert all(error["pointer"].startswith("/") and error["detail"] for error in said["errors"])


def test_a_key_in_the_query_string_counts_for_nothing(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine(), key_of(make_account("alice"))
    assert gate.post(f"/keys/verify?key={key}", {"key": key}).status_code == 400
    assert gate.get(f"/keys/self?key={key}").status_code == 400
    assert gate.post("/keys/verify", {"key": key}).get_json()["daily"]["used"] == 1
