"""Deciding: in the order of the contract and of the questions, all or nothing, whatever else goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.models import User
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.keys.models import ApiKey
from portal.usage.credits import grant_credits
from portal.usage.models import UsageDay, UsageDetail
from portal.usage.plans import PlanTerms, create_plan
from tests.conftest import Machine
from tests.people import make_account
from tests.races import race, used_by

MANY = pytest.mark.parametrize("setting", [{"threads": 64, "db_timeout_s": 30}])
THEN = datetime(2026, 11, 1, tzinfo=UTC)
RATES = (("even", 100), ("slow", 0), ("single", 1))


def alone(gate: Machine) -> Machine:
    """The same client, for a thread of its own."""
    return Machine(gate.client.application.test_client(), gate.token)


def many(gate: Machine, *items: dict[str, Any]) -> list[dict[str, Any]]:
    """The answers to several questions."""
    answer = gate.post("/keys/verify-many", {"items": list(items)})
    assert answer.status_code == 200, answer.text
    said: list[dict[str, Any]] = answer.get_json()["items"]
    return said


def test_what_one_question_spends_the_next_one_sees(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice, bob = make_account("alice", daily_limit_override=3), make_account("bob", daily_limit_override=1)
    gate, keys = machine("keys:verify"), [key_of(alice, "first"), key_of(alice, "second")]
    for one, other in (keys, reversed(keys)):
        said = many(gate, {"key": one}, {"key": key_of(bob)}, {"key": other}, {"key": one}, {"key": "dw_none"})
        assert [body["code"] for body in said[:3]] in (["VALID"] * 3, ["VALID", "DAILY_LIMIT_REACHED", "VALID"])
        assert [said[place]["daily"]["used"] for place in (0, 2, 3)] == [1, 2, 3]
        assert said[4]["code"] == "KEY_UNKNOWN"
        with transaction():
            for row in db.session.scalars(select(UsageDay).where(UsageDay.user_id == alice.id)):
                row.used = 0


@MANY
def test_calls_that_want_the_same_rows_in_another_order_all_end_well(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice, bob = make_account("alice", daily_limit_override=10_000), make_account("bob", daily_limit_override=10_000)
    with transaction():
        for user in (alice, bob):
            grant_credits(operator_actor().because("a test"), user.id, 10_000)
    gate, keys = machine("keys:verify"), [key_of(alice, "a"), key_of(bob, "b"), key_of(alice, "c"), key_of(bob, "d")]
    with transaction():
        for key in db.session.scalars(select(ApiKey).where(ApiKey.name.in_(["c", "d"]))):
            key.daily_limit = 10_000
    items = [{"key": key, "cost": {"conversations": 1, "credits": place % 2}} for place, key in enumerate(keys * 2)]
    items += [{"key": key, "cost": {"conversations": 1, "credits": 1}, "model": "m"} for key in keys]

    def ask(number: int) -> None:
        turned = items[number % len(items) :] + items[: number % len(items)]
        own = alone(gate)
        for _ in range(3):
            assert {body["code"] for body in many(own, *turned[:: 1 if number % 2 else -1])} == {"VALID"}
            assert own.post("/keys/verify", turned[0]).get_json()["code"] == "VALID"

    race(12, ask)
    assert used_by(alice) + used_by(bob) == 12 * 3 * (len(items) + 1)
    db.session.expire_all()
    assert sum(row.used for row in db.session.scalars(select(UsageDetail))) == 12 * 3 * (len(items) + 1)


# ---- The order of the checks --------------------------------------------------------------------------------------

# What makes each check fail: columns of (key, user), or what is asked; the neighbours must be able to fail together.
FAILING: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "KEY_REVOKED": ({"revoked_at": THEN}, {}, {}),
    "KEY_EXPIRED": ({"expires_at": THEN}, {}, {}),
    "ACCOUNT_DELETED": ({}, {"state": "closing"}, {}),
    "ACCOUNT_SUSPENDED": ({}, {"state": "suspended"}, {}),
    "IP_NOT_ALLOWED": ({"networks": ["203.0.113.0/24"]}, {}, {}),
    "SCOPE_MISSING": ({"scopes": ["chat"]}, {}, {"scopes": ["images"]}),
    "RATE_LIMITED": ({}, {"plan": "slow"}, {}),
    "KEY_LIMIT_REACHED": ({"daily_limit": 0}, {}, {}),
    "DAILY_LIMIT_REACHED": ({}, {"daily_limit_override": 0}, {}),
    "CREDITS_EXHAUSTED": ({}, {}, {"cost": {"credits": 1}}),
}
ORDER = list(FAILING)
# An account is in one state.
PAIRS = [pair for pair in combinations(ORDER, 2) if pair != ("ACCOUNT_DELETED", "ACCOUNT_SUSPENDED")]


def test_of_two_checks_that_fail_the_first_is_told_and_nothing_is_used_up(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate = machine("keys:verify")
    with transaction():
        plans = [create_plan(operator_actor(), PlanTerms(name, 100, rate_per_minute=rate)) for name, rate in RATES]
    for number, pair in enumerate(PAIRS):
        alice = make_account(f"alice-{number}", plan_id=plans[0].id)
        assert isinstance(alice, User)
        key, asked = key_of(alice), {}
        with transaction():
            row = db.session.scalars(select(ApiKey).where(ApiKey.user_id == alice.id)).one()
            for columns, owner, question in (FAILING[code] for code in pair):
                asked.update(question)
                for name, value in columns.items():
                    setattr(row, name, value)
                for name, value in owner.items():
                    setattr(alice, "plan_id" if name == "plan" else name, plans[1].id if name == "plan" else value)
        body = gate.post("/keys/verify", {"key": key, **asked}).get_json()
        assert (pair, body["code"]) == (pair, pair[0])
        assert used_by(alice) == 0
        # Mended, the very first call of a rate of one passes: the refused one did not count.
        with transaction():
            row.revoked_at = row.expires_at = row.daily_limit = None
            row.networks, row.scopes = [], []
            alice.state, alice.daily_limit_override, alice.plan_id = "active", None, plans[2].id
        mended = gate.post("/keys/verify", {"key": key}).get_json()
        assert (pair, mended["code"]) == (pair, "VALID"), mended


def test_a_lease_is_checked_in_the_same_order(machine: Callable[..., Machine], key_of: Callable[..., str]) -> None:
    gate, alice = machine("usage:lease"), make_account("alice")
    key = key_of(alice)
    for columns, state, code in (
        ({"revoked_at": THEN}, "closing", "KEY_REVOKED"),
        ({"revoked_at": None, "expires_at": THEN}, "closing", "KEY_EXPIRED"),
        ({"expires_at": None, "networks": ["203.0.113.0/24"]}, "closing", "ACCOUNT_DELETED"),
        ({}, "active", "IP_NOT_ALLOWED"),
        ({"networks": [], "daily_limit": 0}, "active", "KEY_LIMIT_REACHED"),
        ({"daily_limit": None}, "active", "CREDITS_EXHAUSTED"),
    ):
        with transaction():
            alice.state = state
            for name, value in columns.items():
                setattr(db.session.scalars(select(ApiKey)).one(), name, value)
        body = gate.post("/usage/leases", {"key": key, "conversations": 1, "credits": 1}).get_json()
        assert (body["code"], body["lease_id"]) == (code, None)
    assert used_by(alice) == 0
