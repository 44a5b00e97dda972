"""`doorward usage`: what was used, and why calls were refused, as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result

from portal.core.ids import new_id
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import make_account


@pytest.fixture
def answers(machine: Callable[..., Machine], key_of: Callable[..., str]) -> list[dict[str, Any]]:
    """Three calls of Alice, who may make two a day."""
    key = key_of(make_account("alice", daily_limit_override=2), "laptop")
    gate = machine(name="gate")
    return [gate.post("/keys/verify", {"key": key, "model": "m-1"}).get_json() for _ in range(3)]


def test_show_tells_standing_days_models_and_keys(
    doorward: Callable[..., Result], answers: list[dict[str, Any]]
) -> None:
    shown = json.loads(doorward("usage", "show", "alice", "--days", "3").stdout)
    assert shown["daily"]["limit"] == shown["daily"]["used"] == 2
    assert shown["plan"] == "free"
    assert len(shown["days"]) == 3
    assert shown["days"][-1] == {"day": str(datetime.now(UTC).date()), "used": 2}
    assert shown["models"] == [{"model": "m-1", "used": 2, "credits": 0}]
    assert [(key["name"], key["used"]) for key in shown["keys"]] == [("laptop", 2)]
    assert (len(shown["months"]), shown["leases_lost"]) == (12, [])


def test_refusals_and_why_tell_the_same(doorward: Callable[..., Result], answers: list[dict[str, Any]]) -> None:
    listed = json.loads(doorward("usage", "refusals", "alice").stdout)
    assert [(row["code"], row["count"], row["client"]) for row in listed] == [("DAILY_LIMIT_REACHED", 1, "gate")]
    why = json.loads(doorward("usage", "why", answers[-1]["decision_id"]).stdout)
    assert {**listed[0], "allowed": False, "username": "alice", "key": why["key"]} == why
    assert why["key"]["name"] == "laptop"
    assert why["last"]["used"] == 2
    assert why["remedy"] is None
    assert not why["cleared"]


def test_a_decision_that_let_through_says_so(doorward: Callable[..., Result], answers: list[dict[str, Any]]) -> None:
    told = doorward("usage", "why", answers[0]["decision_id"])
    assert json.loads(told.stdout) == {"decision_id": answers[0]["decision_id"], "allowed": True}


@pytest.mark.parametrize(
    "words",
    [
        ("show", "nobody"),
        ("refusals", "nobody"),
        ("why", "nonsense"),
        ("why", str(new_id())),
        ("show", "alice", "--days", "0"),
        ("show", "alice", "--days", "1.5"),
    ],
)
def test_bad_input_is_one_line_and_a_code(
    app: Doorward, doorward: Callable[..., Result], words: tuple[str, ...]
) -> None:
    make_account("alice")
    done = doorward("usage", *words)
    assert done.exit_code != 0
    assert done.stdout == ""
    assert "Traceback" not in done.output


def test_consume_spends_and_refund_gives_back_once(
    doorward: Callable[..., Result], answers: list[dict[str, Any]]
) -> None:
    refused = doorward("usage", "consume", "alice")
    assert (refused.exit_code, json.loads(refused.stdout)["code"]) == (3, "DAILY_LIMIT_REACHED")
    given = json.loads(doorward("usage", "refund", answers[0]["decision_id"], "--reason", "an outage").stdout)
    assert (given["conversations"], given["credits"]) == (1, 0)
    again = doorward("usage", "refund", answers[0]["decision_id"], "--reason", "an outage")
    assert (again.exit_code, again.stderr) == (1, "doorward: This decision was refunded already.\n")
    spent = json.loads(doorward("usage", "consume", "alice", "--model", "M-1").stdout)
    assert (spent["code"], spent["used"], spent["remaining"]) == ("VALID", 2, 0)
    assert doorward("usage", "refund", "nonsense", "--reason", "x").exit_code == 1
    assert doorward("usage", "consume", "nobody").exit_code == 1
    assert doorward("usage", "consume", "alice", "--model", "m" * 81).exit_code == 1
    assert doorward("usage", "consume", "alice", "--conversations", "-1").exit_code == 2
