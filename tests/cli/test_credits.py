"""`doorward credits`: the ledger, grants, adjustments, and whether balances agree with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text

from portal.core.database import db, transaction
from portal.web.frame import Doorward
from tests.people import make_account

Doorwards = Callable[..., Result]
WHY = ("--reason", "a gift")


def told(result: Result) -> Any:
    """What a command that went well printed."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def alice(app: Doorward) -> str:
    """Alice is a user without credits."""
    make_account("alice")
    db.session.remove()
    return "alice"


def test_credits_are_granted_adjusted_and_listed(doorward: Doorwards, alice: str) -> None:
    assert told(doorward("credits", "grant", alice, "50", *WHY)) == {"username": alice, "credits": 50}
    assert told(doorward("credits", "adjust", alice, "-20", *WHY))["credits"] == 30
    assert told(doorward("credits", "adjust", alice, "5", *WHY))["credits"] == 35
    listed = told(doorward("credits", "list", alice))
    assert (listed["plan_credits"], listed["own_credits"], listed["credits"]) == (0, 35, 35)
    assert [(row["kind"], row["amount"], row["actor"]) for row in listed["entries"]] == [
        ("adjust", 5, "operator"),
        ("adjust", -20, "operator"),
        ("grant", 50, "operator"),
    ]
    assert listed["next_cursor"] is None


@pytest.mark.parametrize("verb", ["grant", "adjust"])
def test_nonsense_amounts_are_refused_and_nothing_is_changed(doorward: Doorwards, alice: str, verb: str) -> None:
    told(doorward("credits", "grant", alice, "5", *WHY))
    numbers = ["0", "1.5", "1000001", "-1000001", str(2**53), str(2**63), "1e308", "abc", ""]
    for number in numbers if verb == "adjust" else [*numbers, "-1"]:
        done = doorward("credits", verb, *WHY, "--", alice, number)
        assert done.exit_code != 0, number
        assert "amount" in done.stderr.lower()
        assert "Traceback" not in done.output
    assert told(doorward("credits", "list", alice))["credits"] == 5


def test_more_than_there_is_cannot_be_taken_and_a_reason_is_wanted(doorward: Doorwards, alice: str) -> None:
    assert doorward("credits", "adjust", alice, "-1", *WHY).stderr == (
        "doorward: There are only 0 credits to take from.\n"
    )
    assert doorward("credits", "grant", alice, "5", "--reason", " ").stderr == "doorward: reason: Say why.\n"
    assert doorward("credits", "grant", "nobody", "5", *WHY).exit_code == 1


def test_reconcile_finds_a_planted_drift_and_says_so_by_its_code(doorward: Doorwards, alice: str) -> None:
    clean = told(doorward("credits", "reconcile"))
    assert clean == {"checked": 1, "differ": 0, "credits": 0, "users": []}
    with transaction():
        db.session.execute(text("UPDATE credit_balances SET own_credits = 7"))
    db.session.remove()
    done = doorward("credits", "reconcile")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert (found["differ"], found["credits"]) == (1, 7)
    assert [(row["balance"], row["booked"]) for row in found["users"]] == [(7, 0)]
