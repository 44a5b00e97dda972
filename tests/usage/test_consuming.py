"""Spending for somebody who is changed at that very moment: judged by what holds, or refused for now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, select

from portal.accounts.models import User
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.keys import leasing, verify
from portal.usage import consuming, leases
from portal.usage.models import CreditBalance, CreditEntry, Refusal, UsageDay
from portal.usage.plan_changes import change_plan
from portal.usage.plans import PlanTerms, create_plan
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import make_account

Call = tuple[str, dict[str, Any]]


@pytest.fixture
def alice(app: object) -> User:
    """Alice."""
    made = make_account("alice")
    assert isinstance(made, User)
    return made


@pytest.fixture
def calls(alice: User, key_of: Callable[..., str]) -> list[Call]:
    """Every way to spend one conversation of hers."""
    key = key_of(alice)
    return [
        ("/keys/verify", {"key": key}),
        ("/usage/consume", {"username": "alice"}),
        ("/usage/leases", {"key": key, "conversations": 1}),
        ("/usage/leases", {"user_id": str(alice.id), "conversations": 1}),
    ]


def change_after_reading(app: Doorward, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Somebody changes Alice in the moment between reading her budget and spending, so many times."""
    left = [times]
    for module, name in (
        (verify, "read_key"),
        (leasing, "read_key"),
        (consuming, "find_budget"),
        (leases, "find_budget"),
    ):
        before = getattr(module, name)

        def read(*args: Any, before: Callable[..., Any] = before, **kwargs: Any) -> Any:
            found = before(*args, **kwargs)
            if left[0] > 0:
                left[0] -= 1
                with app.app_context(), transaction():
                    db.session.scalars(select(User)).one().daily_limit_override = 50 + left[0]
            return found

        monkeypatch.setattr(module, name, read)


def test_a_change_in_between_is_felt(
    app: Doorward, calls: list[Call], machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = machine("keys:verify", "usage:consume", "usage:lease")
    for number, (path, body) in enumerate(calls, 1):
        with monkeypatch.context() as patch:
            change_after_reading(app, patch, 2)
            said = gate.post(path, body).get_json()
        assert (said["code"], said["daily"]["limit"], said["daily"]["used"]) == ("VALID", 50, number)


def test_whoever_is_changed_all_the_time_is_asked_to_come_again(
    app: Doorward, calls: list[Call], machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = machine("keys:verify", "usage:consume", "usage:lease")
    change_after_reading(app, monkeypatch, 1000)
    for path, body in calls:
        answer = gate.post(path, body)
        assert (answer.status_code, answer.get_json()["code"]) == (503, "UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) > 0
    assert db.session.scalars(select(UsageDay)).all() == []
    assert db.session.scalars(select(Refusal)).all() == []


def test_who_has_no_balance_yet_gets_the_plans_credits(
    alice: User, calls: list[Call], machine: Callable[..., Machine]
) -> None:
    with transaction():
        db.session.execute(delete(CreditBalance))
        plan = create_plan(operator_actor(), PlanTerms("granting", 100, credits_per_month=5))
        db.session.flush()
        alice.plan_id = plan.id
    gate = machine("keys:verify")
    path, body = calls[0]
    assert gate.post(path, body).get_json()["credits"] == {"remaining": 5}
    assert gate.post(path, {**body, "cost": {"credits": 2}}).get_json()["credits"] == {"remaining": 3}
    entries = db.session.scalars(select(CreditEntry)).all()
    assert sorted((entry.kind, entry.amount) for entry in entries) == [("grant", 5), ("spend", -2)]


def test_a_plan_that_grants_more_adds_the_difference_and_one_that_grants_less_takes_nothing(
    alice: User, calls: list[Call], machine: Callable[..., Machine]
) -> None:
    with transaction():
        plans = [
            create_plan(operator_actor(), PlanTerms(f"grants-{number}", 100, credits_per_month=number))
            for number in (5, 20, 2)
        ]
    gate, (path, body) = machine("keys:verify"), calls[0]
    left = []
    for plan in plans:
        with transaction():
            change_plan(operator_actor(), alice.id, plan.id)
        left.append(gate.post(path, {**body, "cost": {"credits": 1}}).get_json()["credits"]["remaining"])
    assert left == [4, 18, 17]
