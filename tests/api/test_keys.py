"""POST /api/v1/keys/verify."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Machine
from tests.people import make_account


def test_a_good_key_spends_one(machine: Callable[..., Machine], key_of: Callable[..., str]) -> None:
    alice = make_account("alice", time_zone="Europe/Berlin")
    answer = machine().post("/keys/verify", {"key": key_of(alice)})
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert (body["valid"], body["code"]) == (True, "VALID")
    assert body["user"] == {"id": str(alice.id), "username": "alice", "plan": "free"}
    assert body["daily"]["used"] == 1
    assert body["daily"]["remaining"] == 99
    assert body["daily"]["time_zone"] == "Europe/Berlin"


def test_the_limit_is_reached_and_told(machine: Callable[..., Machine], key_of: Callable[..., str]) -> None:
    alice = make_account("alice", daily_limit_override=2)
    gate, key = machine(), key_of(alice)
    codes = [gate.post("/keys/verify", {"key": key}).get_json()["code"] for _ in range(3)]
    assert codes == ["VALID", "VALID", "DAILY_LIMIT_REACHED"]


def test_an_unknown_key_is_an_answer_not_an_error(machine: Callable[..., Machine]) -> None:
    answer = machine().post("/keys/verify", {"key": "dw_nonsense"})
    assert answer.status_code == 200
    assert answer.get_json()["code"] == "KEY_UNKNOWN"
