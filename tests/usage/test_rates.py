"""Calls a minute: never more than the rate, no call lost to one that was refused, and when it clears is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.accounts.models import User
from portal.core import clock
from portal.core import settings as current_settings
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.core.settings import Settings
from portal.usage import rates
from portal.usage.credits import grant_credits
from portal.usage.models import Plan
from portal.usage.plan_changes import change_plan
from portal.usage.plans import PlanTerms, create_plan
from portal.usage.rates import forget_rates, release_call, reserve_call
from tests.conftest import Machine
from tests.moments import stand_at
from tests.people import make_account
from tests.races import race

MANY = pytest.mark.parametrize("setting", [{"threads": 64, "db_timeout_s": 30}])
BEGIN = datetime.fromisoformat("2031-12-10T12:00:00+00:00")
SOMEBODY = UUID(int=7)


@pytest.fixture(autouse=True)
def anew(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing is counted yet, and no server is shared."""
    forget_rates()
    if "app" in request.fixturenames:
        yield
    else:
        current_settings.enter(Settings())
        yield
        current_settings.leave()
    forget_rates()


@pytest.fixture
def alice(app: object) -> User:
    """Alice on a plan of five calls a minute."""
    stand_at("2031-12-10T12:00:00.5+00:00")
    made = make_account("alice")
    assert isinstance(made, User)
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("slow", 1000, rate_per_minute=5))
        change_plan(operator_actor(), made.id, plan.id)
    return made


def ask(gate: Machine, key: str, **rest: Any) -> dict[str, Any]:
    """One question."""
    answer = gate.post("/keys/verify", {"key": key, **rest})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.get_json()
    return body


def alone(gate: Machine) -> Machine:
    """The same client, for a thread of its own."""
    return Machine(gate.client.application.test_client(), gate.token)


@MANY
def test_of_fifty_at_once_as_many_as_the_rate_pass(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine("keys:verify"), key_of(alice)
    codes = race(50, lambda _: ask(alone(gate), key)["code"])
    assert Counter(codes) == Counter(VALID=5, RATE_LIMITED=45)
    assert ask(gate, key, cost={"conversations": 0})["daily"]["used"] == 5


def test_a_refusal_of_another_kind_a_look_and_a_repeat_use_up_no_rate(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine("keys:verify", "usage:consume", "usage:lease"), key_of(alice)
    named = {"Idempotency-Key": "a"}
    for _ in range(6):
        assert ask(gate, key, cost={"credits": 1})["code"] == "CREDITS_EXHAUSTED"
        assert ask(gate, key, cost={"conversations": 1001})["code"] == "DAILY_LIMIT_REACHED"
        assert ask(gate, key, cost={"conversations": 0})["code"] == "VALID"
        gate.post("/keys/verify", {"key": key}, headers=named)
        refused = gate.post("/usage/leases", {"user_id": str(alice.id), "credits": 1}).get_json()
        assert refused["code"] == "CREDITS_EXHAUSTED"
    assert [ask(gate, key)["code"] for _ in range(5)] == ["VALID"] * 4 + ["RATE_LIMITED"]
    assert gate.post("/keys/verify", {"key": key}, headers=named).get_json()["code"] == "VALID"
    assert gate.post("/usage/consume", {"username": "alice"}).get_json()["code"] == "RATE_LIMITED"
    leased = gate.post("/usage/leases", {"key": key, "conversations": 1}).get_json()
    assert (leased["code"], leased["lease_id"]) == ("RATE_LIMITED", None)


def test_a_lease_is_one_call(alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]) -> None:
    gate, key = machine("keys:verify", "usage:lease"), key_of(alice)
    body = gate.post("/usage/leases", {"key": key, "conversations": 50}).get_json()
    assert body["granted"]["conversations"] == 50
    assert [ask(gate, key)["code"] for _ in range(5)] == ["VALID"] * 4 + ["RATE_LIMITED"]


def test_questions_asked_together_count_one_by_one(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine("keys:verify"), key_of(alice)
    answer = gate.post("/keys/verify-many", {"items": [{"key": key}] * 7})
    assert [body["code"] for body in answer.get_json()["items"]] == ["VALID"] * 5 + ["RATE_LIMITED"] * 2


def test_when_it_clears_is_told_and_true(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine("keys:verify"), key_of(alice)
    with transaction():
        db.session.get_one(Plan, alice.plan_id).rate_per_minute = 7
    for _ in range(7):
        ask(gate, key)
    for _ in range(3):
        refused = ask(gate, key)
        assert refused["code"] == "RATE_LIMITED"
        clears = datetime.fromisoformat(refused["clears_at"])
        assert timedelta(0) < clears - clock.now() <= timedelta(seconds=refused["retry_after"] + 1)
        stand_at((clears - timedelta(seconds=2)).isoformat())
        assert ask(gate, key)["code"] == "RATE_LIMITED"
        stand_at(clears.isoformat())
        assert ask(gate, key)["code"] == "VALID"


def test_a_rate_is_refused_before_any_limit_and_after_the_key(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine("keys:verify"), key_of(alice)
    with transaction():
        grant_credits(operator_actor().because("a test"), alice.id, 5)
    for _ in range(5):
        ask(gate, key)
    assert ask(gate, key, cost={"conversations": 1001, "credits": 99})["code"] == "RATE_LIMITED"
    assert ask(gate, key, cost={"conversations": 0, "credits": 1})["code"] == "RATE_LIMITED"
    assert ask(gate, "dw_none")["code"] == "KEY_UNKNOWN"


def test_a_rate_of_none_lets_nothing_pass(
    alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    with transaction():
        db.session.get_one(Plan, alice.plan_id).rate_per_minute = 0
    gate, key = machine("keys:verify"), key_of(alice)
    assert ask(gate, key)["code"] == "RATE_LIMITED"
    assert ask(gate, key, cost={"conversations": 0})["code"] == "VALID"


# ---- The window ---------------------------------------------------------------------------------------------------


@settings(deadline=None, database=None, max_examples=200)
@given(st.integers(1, 12), st.lists(st.floats(0, 70, allow_nan=False), max_size=40))
def test_in_no_window_pass_more_than_twice_the_rate_and_every_wait_is_true(per_minute: int, steps: list[float]) -> None:
    forget_rates()
    at, passed = BEGIN, []
    for step in steps:
        at += timedelta(seconds=step)
        wait = reserve_call(SOMEBODY, per_minute, at)
        if wait is None:
            passed.append(at)
            continue
        assert wait >= 1
        at += timedelta(seconds=wait, milliseconds=1)
        assert reserve_call(SOMEBODY, per_minute, at) is None
        release_call(SOMEBODY, at)
    for first in passed:
        # Two counters slide over each other: exact when calls come evenly, never twice the rate.
        assert sum(first <= other < first + timedelta(minutes=1) for other in passed) < 2 * per_minute + 1
        same = [
            other
            for other in passed
            if other.replace(second=0, microsecond=0) == first.replace(second=0, microsecond=0)
        ]
        assert len(same) <= per_minute


def test_a_clock_put_back_opens_nothing_and_closes_nothing_for_good() -> None:
    assert [reserve_call(SOMEBODY, 2, BEGIN) for _ in range(2)] == [None, None]
    back = BEGIN - timedelta(hours=1)
    wait = reserve_call(SOMEBODY, 2, back)
    assert wait is not None
    assert wait <= 120
    assert reserve_call(SOMEBODY, 2, back + timedelta(seconds=wait)) is None


def test_giving_back_what_was_never_counted_does_nothing() -> None:
    release_call(SOMEBODY, BEGIN)
    assert reserve_call(SOMEBODY, 1, BEGIN) is None
    release_call(SOMEBODY, BEGIN)
    release_call(SOMEBODY, BEGIN)
    assert [reserve_call(SOMEBODY, 1, BEGIN) is None for _ in range(2)] == [True, False]


def test_only_so_many_are_remembered_and_only_the_old_are_forgotten() -> None:
    users = [new_id() for _ in range(rates.MOST_KEPT)]
    for place, user in enumerate(users):
        reserve_call(user, 1, BEGIN - timedelta(minutes=5) if place else BEGIN)
    assert reserve_call(new_id(), 1, BEGIN) is None
    assert reserve_call(users[0], 1, BEGIN) is not None
    assert reserve_call(users[1], 1, BEGIN) is None
