"""Refusals as they are written down: one row a key, code and minute, with the numbers of the first and the last."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from portal.accounts.models import State, User
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.keys.models import ApiKey
from portal.usage.models import Refusal
from portal.usage.plan_changes import change_plan
from portal.usage.plans import PlanTerms, create_plan
from portal.usage.refusal_reading import refusal
from tests.conftest import Machine
from tests.moments import stand_at
from tests.people import actor_named, make_account

Ask = Callable[..., dict[str, Any]]
LOOP = 300


@pytest.fixture
def alice(app: object) -> User:
    """Alice at the second second of a minute, three conversations a day."""
    stand_at("2031-12-10T12:00:02+00:00")
    made = make_account("alice", time_zone="Europe/Berlin", daily_limit_override=3)
    assert isinstance(made, User)
    return made


@pytest.fixture
def key(alice: User, key_of: Callable[..., str]) -> str:
    """Her key."""
    return key_of(alice)


@pytest.fixture
def ask(machine: Callable[..., Machine], key: str) -> Ask:
    """Ask about the key."""
    gate = machine("keys:verify")

    def call(**rest: Any) -> dict[str, Any]:
        answer = gate.post("/keys/verify", {"key": key, **rest})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.get_json()
        return body

    return call


def rows() -> list[Refusal]:
    """All refusals, oldest first."""
    db.session.expire_all()
    return list(db.session.scalars(select(Refusal).order_by(Refusal.first_at)))


def test_a_refused_key_in_a_loop_leaves_one_row(ask: Ask, alice: User) -> None:
    ids = {ask(cost={"conversations": 4 + number % 2})["decision_id"] for number in range(LOOP)}
    (row,) = rows()
    assert (ids, row.count, row.code, row.client_name) == ({str(row.id)}, LOOP, "DAILY_LIMIT_REACHED", "gate")
    assert (row.first_facts["asked"]["conversations"], row.last_facts["asked"]["conversations"]) == (4, 5)
    assert row.first_at < row.last_at
    seen = refusal(actor_named("alice"), UUID(ids.pop()))
    assert (seen.count, seen.first.asked_conversations, seen.last.limit) == (LOOP, 4, 3)


def test_another_minute_code_or_key_has_a_row_of_its_own(
    ask: Ask, alice: User, key_of: Callable[..., str], machine: Callable[..., Machine]
) -> None:
    ids = [ask(cost={"conversations": 4})["decision_id"], ask(cost={"credits": 1})["decision_id"]]
    other, gate = key_of(alice), machine("keys:verify", "usage:consume", name="other")
    ids.append(gate.post("/keys/verify", {"key": other, "cost": {"credits": 1}}).get_json()["decision_id"])
    consume = {"username": "alice", "cost": {"credits": 1}}
    ids.append(gate.post("/usage/consume", consume).get_json()["decision_id"])
    clock.shift(clock.offset() + timedelta(minutes=1))
    ids.append(ask(cost={"conversations": 4})["decision_id"])
    assert len(set(ids)) == 5
    assert sorted(str(row.id) for row in rows()) == sorted(ids)
    assert {row.count for row in rows()} == {1}
    nobodys = [row for row in rows() if row.key_id == UUID(int=0)]
    assert [row.code for row in nobodys] == ["CREDITS_EXHAUSTED"]


def test_an_unknown_key_and_a_success_leave_nothing(ask: Ask, machine: Callable[..., Machine]) -> None:
    gate = machine("keys:verify", "usage:consume", "usage:lease", name="other")
    assert gate.post("/keys/verify", {"key": "dw_none"}).get_json()["code"] == "KEY_UNKNOWN"
    assert gate.post("/usage/consume", {"username": "nobody"}).get_json()["code"] == "USER_UNKNOWN"
    leased = gate.post("/usage/leases", {"key": "dw_none", "conversations": 1}).get_json()
    assert (leased["code"], ask()["code"], rows()) == ("KEY_UNKNOWN", "VALID", [])


def change(key_columns: dict[str, Any] | None = None, **columns: Any) -> None:
    """Give Alice and her key other columns."""
    with transaction():
        for name, value in (key_columns or {}).items():
            setattr(db.session.scalars(select(ApiKey)).one(), name, value)
        for name, value in columns.items():
            setattr(db.session.scalars(select(User)).one(), name, value)


def test_every_code_tells_its_facts(ask: Ask, alice: User) -> None:
    then = clock.now() - timedelta(hours=1)
    numbers = {"limit": 3, "used": 0, "remaining": 3, "resets_at": "2031-12-11T00:00:00+01:00", "credits": 0}
    wrong = {"ip": "198.51.100.7", "scopes": ["images", "chat"], "model": "m-1"}
    asked = {"asked": {"conversations": 1, "credits": 0}, "plan": "free"}
    narrow = {"networks": ["203.0.113.0/24"], "scopes": ["chat"]}
    never: dict[str, Any] = {"clears_at": None, "address": "127.0.0.1"}

    def expect(code: str, facts: dict[str, Any], **rest: Any) -> None:
        body = ask(**rest)
        (row,) = (row for row in rows() if row.code == code)
        assert (body["code"], body["decision_id"]) == (code, str(row.id))
        assert row.first_facts == row.last_facts == {**asked, **facts}
        assert body.get("clears_at") == facts["clears_at"]

    change({"revoked_at": then})
    expect("KEY_REVOKED", {**never, "revoked_at": then.isoformat()})
    change({"revoked_at": None, "expires_at": then})
    expect("KEY_EXPIRED", {**never, "expires_at": then.isoformat()})
    change({"expires_at": None}, state=State.CLOSING.value)
    expect("ACCOUNT_DELETED", never)
    change(state=State.SUSPENDED.value)
    expect("ACCOUNT_SUSPENDED", never)
    change(narrow, state=State.ACTIVE.value)
    about = {"networks": ["203.0.113.0/24"], "scopes_missing": ["images"], "model": "m-1", "clears_at": None}
    expect("IP_NOT_ALLOWED", {**about, "address": "198.51.100.7"}, **wrong)
    expect("SCOPE_MISSING", {**about, "address": "203.0.113.7"}, **{**wrong, "ip": "203.0.113.7"})
    change({"networks": [], "scopes": [], "daily_limit": 2})
    asked["asked"] = {"conversations": 3, "credits": 7}
    own = {"key_limit": 2, "key_used": 0, "address": "127.0.0.1"}
    resets = {"clears_at": None}  # no day is long enough for such a cost
    expect("KEY_LIMIT_REACHED", {**numbers, **own, **resets}, cost=asked["asked"])
    change({"daily_limit": None})
    asked["asked"] = {"conversations": 4, "credits": 7}
    local = {"address": "127.0.0.1"}
    expect("DAILY_LIMIT_REACHED", {**numbers, **resets, **local}, cost=asked["asked"])
    asked["asked"] = {"conversations": 3, "credits": 7}
    expect("CREDITS_EXHAUSTED", {**numbers, **never}, cost=asked["asked"])
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("slow", 100, rate_per_minute=1))
        change_plan(operator_actor(), alice.id, plan.id)
    assert ask()["code"] == "VALID"
    asked |= {"asked": {"conversations": 1, "credits": 0}, "plan": "slow"}
    body = ask()
    (row,) = (row for row in rows() if row.code == "RATE_LIMITED")
    assert (body["code"], row.first_facts["rate_per_minute"]) == ("RATE_LIMITED", 1)
    assert row.first_facts["clears_at"] == body["clears_at"]
    assert body["clears_at"].startswith("2031-12-10T13:0")
    assert 0 < body["retry_after"] <= 120


def test_what_ends_by_itself_says_when(ask: Ask, alice: User) -> None:
    assert ask(cost={"conversations": 3})["code"] == "VALID"
    assert ask()["clears_at"] == "2031-12-11T00:00:00+01:00"
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("rich", 100, credits_per_month=5))
        change_plan(operator_actor(), alice.id, plan.id)
    heard = [ask(cost={"conversations": 0, "credits": credits}) for credits in (5, 4, 6)]
    assert [body.get("clears_at") for body in heard] == [None, "2032-01-01T00:00:00+01:00", None]
    assert heard[-1]["code"] == "CREDITS_EXHAUSTED"


def test_what_asks_for_more_than_a_day_holds_never_clears_by_itself(ask: Ask) -> None:
    change({"daily_limit": 2})
    assert "clears_at" not in ask(cost={"conversations": 3})
    change({"daily_limit": None})
    assert "clears_at" not in ask(cost={"conversations": 4})


def test_a_refused_call_changes_no_counter_and_no_balance(ask: Ask, alice: User) -> None:
    ask(cost={"conversations": 3})
    for cost in ({"conversations": 1}, {"conversations": 1, "credits": 1}, {"conversations": 0, "credits": 1}):
        assert ask(cost=cost)["daily"]["used"] == 3
    assert db.session.scalar(select(func.sum(Refusal.count))) == 3


def test_who_never_had_a_balance_is_refused_with_none(ask: Ask, alice: User) -> None:
    with transaction():
        db.session.execute(text("DELETE FROM credit_balances"))
    told = ask(cost={"conversations": 4})
    assert (told["code"], told["credits"]["remaining"]) == ("DAILY_LIMIT_REACHED", 0)
