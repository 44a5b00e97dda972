"""Deciding: in the order of the contract and of the questions, all or nothing, whatever else goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.keys.models import ApiKey
from portal.usage.credits import grant_credits
from portal.usage.models import UsageDay, UsageDetail
from tests.conftest import Machine
from tests.people import make_account
from tests.races import race, used_by

MANY = pytest.mark.parametrize("setting", [{"threads": 64, "db_timeout_s": 30}])
Post = Callable[[dict[str, Any]], dict[str, Any]]


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
