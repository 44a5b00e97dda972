"""`doorward plans`: all terms, who gets which from when, and boosts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import Result

from portal.core.database import db
from portal.web.frame import Doorward
from tests.people import make_account

Doorwards = Callable[..., Result]
NUMBERS = ["-1", "1.5", "1000001", str(2**53), str(2**63), "1e308", "abc", ""]


def told(result: Result) -> Any:
    """What a command that went well printed."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def alice(app: Doorward) -> str:
    """Alice is a user on the plan free."""
    make_account("alice")
    db.session.remove()
    return "alice"


def test_all_terms_are_set_shown_and_changed(doorward: Doorwards) -> None:
    terms = ["--daily-limit", "7", "--rate", "60", "--credits", "1000", "--keys", "3", "--retention-days", "90"]
    made = told(doorward("plans", "create", "--name", "team", *terms, "--price", "M-1=5", "--price", "m-2=0"))
    wanted = {
        "name": "team", "daily_limit": 7, "rate_per_minute": 60, "credits_per_month": 1000, "key_count": 3,
        "retention_days": 90, "prices": {"m-1": 5, "m-2": 0},
    }  # fmt: skip
    assert made == {"id": made["id"], **wanted}
    assert told(doorward("plans", "show", "team")) == made
    changed = told(doorward("plans", "change", "team", "--daily-limit", "none", "--price", "m-3=1", "--name", "crew"))
    assert changed == {**made, "name": "crew", "daily_limit": None, "prices": {"m-3": 1}}
    assert told(doorward("plans", "change", "crew", "--no-prices"))["prices"] == {}
    assert "crew" in [plan["name"] for plan in told(doorward("plans", "list"))]
    assert doorward("plans", "delete", "crew").stdout == "crew is deleted\n"
    assert [plan["name"] for plan in told(doorward("plans", "list"))] == ["free", "plus"]


@pytest.mark.parametrize("option", ["--daily-limit", "--rate", "--credits", "--keys", "--retention-days"])
def test_nonsense_is_refused_by_the_name_of_its_option(option: str, doorward: Doorwards) -> None:
    fields = {"--rate": "rate_per_minute", "--credits": "credits_per_month", "--keys": "key_count"}
    field = fields.get(option, option[2:].replace("-", "_"))
    for number in NUMBERS:
        done = doorward("plans", "create", "--name", "team", option, number)
        assert done.exit_code != 0, number
        assert option in done.stderr or field in done.stderr
        assert "Traceback" not in done.output
    assert len(told(doorward("plans", "list"))) == 2


def test_nonsense_prices_name_their_line(doorward: Doorwards) -> None:
    for number in NUMBERS:
        done = doorward("plans", "change", "free", "--price", "m-1=1", "--price", f"m-2={number}")
        assert done.exit_code == 1, number
        assert done.stderr.startswith("doorward: prices: Line 2:")
    assert told(doorward("plans", "show", "free"))["prices"] == {}


def test_a_plan_is_given_now_or_later_and_taken_back(doorward: Doorwards, alice: str) -> None:
    now = datetime.now(UTC)
    later = told(doorward("plans", "give", alice, "plus", "--starts", "next_month"))
    starts_at = datetime.fromisoformat(later["starts_at"])
    assert (starts_at.day, starts_at.hour) == (1, 0)
    assert now < starts_at < now + timedelta(days=32)
    assert doorward("plans", "take-back", alice).exit_code == 0
    assert doorward("plans", "take-back", alice).exit_code == 1
    assert told(doorward("plans", "give", alice, "plus"))["plan"] == "plus"
    assert "Somebody has this plan" in doorward("plans", "delete", "plus").stderr
    assert doorward("plans", "give", alice, "plus", "--starts", "soon").exit_code == 2
    assert doorward("plans", "give", alice, "gold").stderr == "doorward: there is no plan gold\n"


def test_a_boost_is_made_and_ended(doorward: Doorwards, alice: str) -> None:
    until = (datetime.now(UTC) + timedelta(days=3)).isoformat(timespec="seconds")
    boost = ("plans", "boost", alice)
    made = told(doorward(*boost, "50", "--until", until, "--reason", "a workshop"))
    assert made == {"username": alice, "extra": 50, "until": until}
    assert doorward("plans", "end-boost", alice).exit_code == 0
    assert doorward("plans", "end-boost", alice).exit_code == 1
    for number in [*NUMBERS, "0"]:
        assert doorward(*boost, "--until", until, "--reason", "why", "--", number).exit_code != 0, number
    for wrong in ("tomorrow", "2026-12-01T00:00:00", "2020-01-01T00:00:00Z"):
        done = doorward(*boost, "5", "--until", wrong, "--reason", "why")
        assert done.exit_code == 1
        assert done.stderr.startswith("doorward: until:")
