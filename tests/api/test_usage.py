"""/api/v1/usage: consume, refund, leases; and what every route that spends owes its caller."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.accounts.models import Account, State, User
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.keys.models import ApiKey
from portal.usage.credits import grant_credits
from portal.usage.history import lost_leases
from portal.usage.leases import end_leases
from portal.usage.models import CreditBalance, CreditEntry, Lease, Refund, UsageDay, UsageDetail, UsageMonth
from portal.usage.plan_changes import change_plan
from portal.usage.plans import PlanTerms, create_plan
from portal.usage.reset import close_finished_days
from tests.conftest import Machine
from tests.moments import stand_at
from tests.people import make_account

NOBODY = "01a1fd82-0000-7000-8000-000000000000"
NOON = "2031-12-10T12:00:00+00:00"


@pytest.fixture
def noon(app: object) -> None:
    """An hour on which nothing special happens."""
    stand_at(NOON)


@pytest.fixture
def alice(noon: None) -> User:
    """Alice, ten conversations a day, fifty credits."""
    made = make_account("alice", daily_limit_override=10)
    assert isinstance(made, User)
    give_credits(made, 50)
    return made


@pytest.fixture
def gate(alice: User, machine: Callable[..., Machine]) -> Machine:
    """A client that may do everything with usage."""
    return machine("keys:verify", "usage:consume", "usage:lease")


def give_credits(account: Account, amount: int) -> None:
    """Let the operator grant credits."""
    with transaction():
        grant_credits(operator_actor().because("a test"), account.id, amount)


def said(answer: TestResponse, status: int = 200) -> dict[str, Any]:
    """The body of an answer with this status."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.get_json()
    return body


def pointers(answer: TestResponse) -> set[str]:
    """Which fields a 422 names."""
    return {error["pointer"] for error in said(answer, 422)["errors"]}


def stands(user: User) -> tuple[int, int]:
    """(conversations used today, credits left), and that the ledger adds up to them."""
    db.session.expire_all()
    used = sum(db.session.scalars(select(UsageDay.used).where(UsageDay.user_id == user.id)))
    balance = db.session.get_one(CreditBalance, user.id)
    left = balance.plan_credits + balance.own_credits
    assert left == db.session.scalar(select(func.sum(CreditEntry.amount)).where(CreditEntry.user_id == user.id))
    details = db.session.scalars(select(UsageDetail).where(UsageDetail.user_id == user.id)).all()
    assert sum(row.used for row in details) == used
    return used, left


# ---- Consume ------------------------------------------------------------------------------------------------------


def test_units_are_consumed_by_id_or_by_name(gate: Machine, alice: User) -> None:
    by_id = said(gate.post("/usage/consume", {"user_id": str(alice.id), "cost": {"conversations": 2, "credits": 5}}))
    assert by_id.pop("decision_id").startswith("ok_")
    assert by_id == {
        "valid": True,
        "code": "VALID",
        "user": {"id": str(alice.id), "username": "alice", "plan": "free"},
        "daily": {
            "limit": 10, "used": 2, "remaining": 8, "resets_at": "2031-12-11T00:00:00+00:00", "time_zone": "UTC",
        },
        "credits": {"remaining": 45},
    }  # fmt: skip
    assert said(gate.post("/usage/consume", {"username": " ALICE "}))["daily"]["used"] == 3
    assert stands(alice) == (3, 45)


@pytest.mark.parametrize("whom", [{"username": "nobody"}, {"username": ""}, {"username": "ada"}, {"user_id": NOBODY}])
def test_who_is_no_user_is_an_answer_too(gate: Machine, whom: dict[str, str]) -> None:
    make_account("ada")
    body = said(gate.post("/usage/consume", whom))
    assert (body["valid"], body["code"], set(body)) == (False, "USER_UNKNOWN", {"valid", "code", "decision_id"})


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("suspended", "ACCOUNT_SUSPENDED"),
        ("invited", "ACCOUNT_SUSPENDED"),
        ("closing", "ACCOUNT_DELETED"),
        ("deleted", "ACCOUNT_DELETED"),
    ],
)
def test_whoever_is_not_active_spends_nothing(gate: Machine, alice: User, state: str, code: str) -> None:
    with transaction():
        alice.state = State(state).value
    for path, more in (("/usage/consume", {}), ("/usage/leases", {"conversations": 1})):
        body = said(gate.post(path, {"user_id": str(alice.id), **more}))
        assert (body["code"], body["user"]["username"]) == (code, None if code == "ACCOUNT_DELETED" else "alice")
    assert stands(alice) == (0, 50)


def test_consuming_is_refused_at_the_limit_and_without_credits(gate: Machine, alice: User) -> None:
    said(gate.post("/usage/consume", {"username": "alice"}))
    over = said(gate.post("/usage/consume", {"username": "alice", "cost": {"conversations": 10, "credits": 99}}))
    assert (over["code"], over["clears_at"]) == ("DAILY_LIMIT_REACHED", "2031-12-11T00:00:00+00:00")
    poor = said(gate.post("/usage/consume", {"username": "alice", "cost": {"conversations": 1, "credits": 51}}))
    assert (poor["code"], poor["credits"], "clears_at" in poor) == ("CREDITS_EXHAUSTED", {"remaining": 50}, False)
    assert stands(alice) == (1, 50)


def test_consume_takes_the_price_of_the_plan(gate: Machine, alice: User) -> None:
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("priced", 100, prices={"m-1": 3}))
        change_plan(operator_actor(), alice.id, plan.id)
    assert said(gate.post("/usage/consume", {"username": "alice", "model": " M-1 "}))["credits"]["remaining"] == 47


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/user_id"), ({"username": "alice", "user_id": "x"}, "/user_id"), ({"user_id": "x"}, "/user_id"),
        ({"username": "a" * 201}, "/username"), ({"username": "a\0"}, "/username"), ({"username": 5}, "/username"),
        ({"username": "alice", "model": "m" * 81}, "/model"), ({"username": "alice", "units": 1}, "/units"),
        ({"username": "alice", "cost": {"credits": 1.5}}, "/cost/credits"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_consumed_is_named(gate: Machine, alice: User, body: object, pointer: str) -> None:
    (named,) = pointers(gate.post("/usage/consume", body))
    assert named == pointer
    assert stands(alice) == (0, 50)


# ---- Amounts ------------------------------------------------------------------------------------------------------

NONSENSE = ["-1", "1.5", "1000001", str(2**53), str(2**63), "1e308", '"5"', "null", "true", "NaN", "Infinity", "[]"]


@pytest.mark.parametrize("amount", NONSENSE)
def test_an_amount_that_is_none_changes_nothing(
    gate: Machine, alice: User, key_of: Callable[..., str], amount: str
) -> None:
    key, user = json.dumps(key_of(alice)), f'"user_id": "{alice.id}"'
    lease = said(gate.post("/usage/leases", {"user_id": str(alice.id), "conversations": 2, "credits": 2}))["lease_id"]
    before = stands(alice)
    calls = [("conversations", "/cost/conversations"), ("credits", "/cost/credits")]
    for name, pointer in calls:
        if (name, amount) == ("credits", "null"):
            continue  # as if it was not given
        cost = f'"cost": {{"{name}": {amount}}}'
        refuse(gate, "/keys/verify", f'{{"key": {key}, {cost}}}', pointer)
        refuse(
            gate,
            "/keys/verify-many",
            f'{{"items": [{{"key": {key}}}, {{"key": {key}, {cost}}}]}}',
            f"/items/1{pointer}",
        )
        refuse(gate, "/usage/consume", f"{{{user}, {cost}}}", pointer)
        refuse(gate, "/usage/leases", f'{{{user}, "{name}": {amount}}}', f"/{name}")
        refuse(gate, f"/usage/leases/{lease}/settle", f'{{"used": {{"{name}": {amount}}}}}', f"/used/{name}")
    refuse(gate, f"/usage/leases/{lease}/settle", f'{{"used": {amount}}}', "/used")
    refuse(gate, "/usage/leases", f'{{{user}, "conversations": 1, "ttl_s": {amount}}}', "/ttl_s")
    assert stands(alice) == before


def refuse(gate: Machine, path: str, body: str, pointer: str) -> None:
    """The body is refused, by the field when it is JSON at all."""
    answer = gate.post(path, data=body, content_type="application/json")
    if "NaN" in body or "Infinity" in body:
        assert said(answer, 400)["code"] == "MALFORMED"
    else:
        assert pointers(answer) == {pointer}, (path, body)


# ---- Refund -------------------------------------------------------------------------------------------------------


def spend(gate: Machine, key: str, conversations: int = 2, credits: int = 5, **more: Any) -> str:
    """Spend; the decision id."""
    cost = {"conversations": conversations, "credits": credits}
    body = said(gate.post("/keys/verify", {"key": key, "cost": cost, **more}))
    assert body["code"] == "VALID", body
    made: str = body["decision_id"]
    return made


def test_a_decision_is_taken_back_once(gate: Machine, alice: User, key_of: Callable[..., str]) -> None:
    decision = spend(gate, key_of(alice), model="m")
    assert stands(alice) == (2, 45)
    body = said(gate.post("/usage/refund", {"decision_id": decision, "reason": "it failed"}))
    assert body == {
        "decision_id": decision, "user_id": str(alice.id), "refunded": {"conversations": 2, "credits": 5},
    }  # fmt: skip
    for _ in range(2):
        assert said(gate.post("/usage/refund", {"decision_id": decision}), 409)["code"] == "CONFLICT"
    assert stands(alice) == (0, 50)
    refund = db.session.scalars(select(Refund)).one()
    assert (refund.conversations, refund.credits, refund.reason, refund.actor_name) == (2, 5, "it failed", "gate")
    entry = db.session.scalars(select(CreditEntry).where(CreditEntry.kind == "refund")).one()
    assert (entry.amount, entry.balance, entry.reason, entry.decision_id) == (5, 50, "it failed", refund.decision_id)


def test_where_nothing_was_spent_nothing_can_be_taken_back(
    gate: Machine, alice: User, key_of: Callable[..., str]
) -> None:
    decision = spend(gate, key_of(alice), 0, 0)
    assert said(gate.post("/usage/refund", {"decision_id": decision}), 409)["code"] == "CONFLICT"
    assert db.session.scalars(select(Refund)).all() == []


def test_a_decision_that_is_none_or_was_altered_is_not_known(
    gate: Machine, alice: User, key_of: Callable[..., str]
) -> None:
    decision = spend(gate, key_of(alice))
    refusal = said(gate.post("/usage/consume", {"username": "alice", "cost": {"conversations": 11}}))["decision_id"]
    sealed = urlsafe_b64decode(decision[3:] + "==")
    altered = [bytes([*sealed[:n], sealed[n] ^ 1, *sealed[n + 1 :]]) for n in range(len(sealed))]
    forged = ["ok_" + urlsafe_b64encode(one).decode().rstrip("=") for one in altered]
    last = decision[:-1] + chr(ord(decision[-1]) + 1)
    short = "ok_" + urlsafe_b64encode(sealed[:40]).decode().rstrip("=")
    nonsense = [
        "",
        "ok_",
        "ok_é",
        "ok_=",
        "x",
        decision[3:],
        decision + "A",
        decision + "=",
        last,
        short,
        "ok_" + "A" * 590,
    ]
    for wrong in (*forged, *nonsense, refusal, str(new_id()), decision.upper(), f" {decision}"):
        assert said(gate.post("/usage/refund", {"decision_id": wrong}), 404)["code"] == "NOT_FOUND", wrong
    assert pointers(gate.post("/usage/refund", {"decision_id": "x" * 601})) == {"/decision_id"}
    assert pointers(gate.post("/usage/refund", {"decision_id": decision, "reason": "x" * 501})) == {"/reason"}
    assert stands(alice) == (2, 45)


def test_units_of_a_closed_day_leave_its_month_too(gate: Machine, alice: User, key_of: Callable[..., str]) -> None:
    decision = spend(gate, key_of(alice))
    spend(gate, key_of(alice), 1, 0)
    clock.shift(clock.offset() + timedelta(days=1))
    assert close_finished_days() == 1
    said(gate.post("/usage/refund", {"decision_id": decision}))
    assert stands(alice) == (1, 50)
    assert db.session.scalars(select(UsageMonth.used)).all() == [1]


def test_plan_credits_of_a_month_that_is_over_do_not_come_back(
    gate: Machine, alice: User, key_of: Callable[..., str]
) -> None:
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("granting", 100, credits_per_month=20))
        change_plan(operator_actor(), alice.id, plan.id)
    key = key_of(alice)
    first, second = spend(gate, key, 1, 15), spend(gate, key, 1, 15)
    assert stands(alice) == (2, 40)
    assert said(gate.post("/usage/refund", {"decision_id": first}))["refunded"]["credits"] == 15
    clock.shift(clock.offset() + timedelta(days=25))
    body = said(gate.post("/usage/refund", {"decision_id": second}))
    assert body["refunded"] == {"conversations": 1, "credits": 10}
    assert stands(alice) == (0, 50 + 20)
    late = select(CreditEntry).where(CreditEntry.created_at > clock.now() - timedelta(days=1))
    booked = sorted((entry.kind, entry.amount) for entry in db.session.scalars(late))
    assert booked == [("expire", -15), ("grant", 20), ("refund", 10)]


def test_where_nothing_comes_back_nothing_is_booked(gate: Machine, alice: User, key_of: Callable[..., str]) -> None:
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("granting", 100, credits_per_month=20))
        change_plan(operator_actor(), alice.id, plan.id)
    decision = spend(gate, key_of(alice), 0, 15)
    clock.shift(clock.offset() + timedelta(days=25))
    assert said(gate.post("/usage/refund", {"decision_id": decision}))["refunded"]["credits"] == 0
    assert stands(alice) == (0, 50 + 20)
    assert db.session.scalars(select(CreditEntry).where(CreditEntry.kind == "refund")).all() == []


def test_a_decision_can_be_taken_back_for_thirty_days(gate: Machine, alice: User, key_of: Callable[..., str]) -> None:
    key = key_of(alice)
    early, late = spend(gate, key, 1, 0), spend(gate, key, 1, 0)
    clock.shift(clock.offset() + timedelta(days=29, hours=23))
    said(gate.post("/usage/refund", {"decision_id": late}))
    clock.shift(clock.offset() + timedelta(hours=2))
    said(gate.post("/usage/refund", {"decision_id": early}), 409)


# ---- Leases -------------------------------------------------------------------------------------------------------


def lease(gate: Machine, user: User, conversations: int = 4, credits: int = 20, **more: Any) -> dict[str, Any]:
    """Ask for a lease."""
    asked = {"user_id": str(user.id), "conversations": conversations, "credits": credits, **more}
    return said(gate.post("/usage/leases", asked))


def settle(gate: Machine, lease_id: str, conversations: int, credits: int, *, final: bool = True) -> TestResponse:
    """Report."""
    used = {"conversations": conversations, "credits": credits}
    return gate.post(f"/usage/leases/{lease_id}/settle", {"used": used, "final": final})


def test_a_lease_is_spent_at_once_and_what_is_left_comes_back(gate: Machine, alice: User) -> None:
    body = lease(gate, alice, ttl_s=30)
    assert (body["valid"], body["code"], body["granted"]) == (True, "VALID", {"conversations": 4, "credits": 20})
    assert datetime.fromisoformat(body["expires_at"]) - clock.now() <= timedelta(seconds=30)
    assert (body["daily"]["used"], body["credits"]["remaining"], stands(alice)) == (4, 30, (4, 30))
    settled = said(settle(gate, body["lease_id"], 1, 3))
    assert settled == {
        "lease_id": body["lease_id"], "state": "settled", "used": {"conversations": 1, "credits": 3},
        "returned": {"conversations": 3, "credits": 17}, "expires_at": None,
    }  # fmt: skip
    assert stands(alice) == (1, 47)


def test_the_same_last_report_again_changes_nothing(gate: Machine, alice: User) -> None:
    made = lease(gate, alice)["lease_id"]
    first = said(settle(gate, made, 1, 3))
    assert said(settle(gate, made, 1, 3)) == first
    assert said(settle(gate, made, 2, 3), 409)["detail"] == "This lease was settled already."
    assert said(settle(gate, made, 1, 3, final=False), 409)["code"] == "CONFLICT"
    assert stands(alice) == (1, 47)


def test_a_running_report_renews_and_returns_nothing(gate: Machine, alice: User) -> None:
    made = lease(gate, alice, ttl_s=60)
    clock.shift(clock.offset() + timedelta(seconds=50))
    body = said(settle(gate, made["lease_id"], 2, 0, final=False))
    assert (body["state"], body["returned"]) == ("open", {"conversations": 0, "credits": 0})
    assert datetime.fromisoformat(body["expires_at"]) >= datetime.fromisoformat(made["expires_at"]) + timedelta(
        seconds=50
    )
    assert stands(alice) == (4, 30)
    clock.shift(clock.offset() + timedelta(seconds=110))
    assert said(settle(gate, made["lease_id"], 2, 0))["returned"] == {"conversations": 2, "credits": 20}


def test_a_report_that_cannot_be_is_refused(gate: Machine, alice: User) -> None:
    made = lease(gate, alice)["lease_id"]
    said(settle(gate, made, 2, 5, final=False))
    assert pointers(settle(gate, made, 1, 5)) == {"/used/conversations"}
    assert pointers(settle(gate, made, 2, 4)) == {"/used/credits"}
    assert pointers(settle(gate, made, 5, 5)) == {"/used/conversations"}
    assert pointers(settle(gate, made, 2, 21)) == {"/used/credits"}
    assert stands(alice) == (4, 30)
    assert (
        said(gate.post(f"/usage/leases/{made}/settle", {"used": {"conversations": 3, "credits": 5}}))["state"]
        == "settled"
    )


def test_a_bare_number_counts_conversations(gate: Machine, alice: User) -> None:
    made = lease(gate, alice, credits=0)["lease_id"]
    assert said(gate.post(f"/usage/leases/{made}/settle", {"used": 3}))["returned"] == {
        "conversations": 1,
        "credits": 0,
    }


def test_a_lease_is_as_large_as_there_is_of_each_kind(gate: Machine, alice: User) -> None:
    body = lease(gate, alice, 15, 70)
    assert (body["code"], body["granted"], stands(alice)) == ("VALID", {"conversations": 10, "credits": 50}, (10, 0))
    none = lease(gate, alice, 1, 0)
    assert (none["valid"], none["code"], none["lease_id"]) == (False, "DAILY_LIMIT_REACHED", None)
    assert (none["granted"], none["expires_at"]) == ({"conversations": 0, "credits": 0}, None)
    assert lease(gate, alice, 0, 1)["code"] == "CREDITS_EXHAUSTED"
    assert db.session.scalar(select(func.count()).select_from(Lease)) == 1


def test_a_lease_without_credits_left_takes_no_conversations_either(gate: Machine, alice: User) -> None:
    lease(gate, alice, 1, 50)
    assert lease(gate, alice, 1, 1)["code"] == "CREDITS_EXHAUSTED"
    assert stands(alice) == (1, 0)


def test_a_lease_by_key_keeps_to_the_keys_own_limit(gate: Machine, alice: User, key_of: Callable[..., str]) -> None:
    key = key_of(alice)
    with transaction():
        db.session.scalars(select(ApiKey)).one().daily_limit = 3
    body = said(gate.post("/usage/leases", {"key": key, "conversations": 5}))
    assert (body["granted"]["conversations"], body["key_daily"]["remaining"]) == (3, 0)
    assert said(gate.post("/usage/leases", {"key": key, "conversations": 1}))["code"] == "KEY_LIMIT_REACHED"
    assert said(gate.post("/usage/leases", {"key": "dw_none", "conversations": 1}))["code"] == "KEY_UNKNOWN"
    assert lease(gate, alice, 1)["code"] == "VALID"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/key"),
        ({"key": "dw_x", "user_id": NOBODY}, "/key"),
        ({"user_id": "x", "conversations": 1}, "/user_id"),
        ({"user_id": NOBODY}, "/conversations"),
        ({"user_id": NOBODY, "conversations": 0, "credits": 0}, "/conversations"),
        ({"key": "dw_x", "conversations": 1, "ttl_s": 4}, "/ttl_s"),
        ({"key": "dw_x", "conversations": 1, "ttl_s": 301}, "/ttl_s"),
    ],
    ids=str,
)
def test_a_lease_that_cannot_be_is_refused(gate: Machine, body: object, pointer: str) -> None:
    assert pointers(gate.post("/usage/leases", body)) == {pointer}


def test_a_lease_for_nobody_is_an_answer(gate: Machine) -> None:
    body = said(gate.post("/usage/leases", {"user_id": str(new_id()), "conversations": 1}))
    assert (body["code"], body["lease_id"]) == ("USER_UNKNOWN", None)


@pytest.mark.parametrize("bound", [{"scopes": ["chat"]}, {"ip": "203.0.113.7"}])
def test_what_only_a_key_is_checked_for_wants_a_key(gate: Machine, alice: User, bound: dict[str, Any]) -> None:
    body = {"user_id": str(alice.id), "conversations": 1, **bound}
    assert pointers(gate.post("/usage/leases", body)) == {f"/{next(iter(bound))}"}


def test_a_lease_is_taken_by_name_too(gate: Machine, alice: User) -> None:
    body = said(gate.post("/usage/leases", {"username": " Alice", "conversations": 2}))
    assert (body["granted"]["conversations"], body["user"]["id"]) == (2, str(alice.id))
    assert said(gate.post("/usage/leases", {"username": "nobody", "conversations": 2}))["code"] == "USER_UNKNOWN"
    assert stands(alice) == (2, 50)


def test_a_lease_by_key_wants_its_scopes_and_its_networks(
    gate: Machine, alice: User, key_of: Callable[..., str]
) -> None:
    key = key_of(alice)
    with transaction():
        row = db.session.scalars(select(ApiKey)).one()
        row.scopes, row.networks = ["chat"], ["203.0.113.0/24"]
    asked = {"key": key, "conversations": 1, "scopes": ["chat"], "ip": "203.0.113.7"}
    for more, code in (({}, "VALID"), ({"ip": None}, "IP_NOT_ALLOWED"), ({"scopes": ["images"]}, "SCOPE_MISSING")):
        assert said(gate.post("/usage/leases", {**asked, **more}))["code"] == code
    assert pointers(gate.post("/usage/leases", {**asked, "scopes": ["a"] * 51})) == {"/scopes"}
    assert stands(alice) == (1, 50)


def test_anothers_lease_is_not_found(gate: Machine, alice: User, machine: Callable[..., Machine]) -> None:
    made, other = lease(gate, alice)["lease_id"], machine("usage:lease", name="other")
    assert said(settle(other, made, 1, 1), 404)["code"] == "NOT_FOUND"
    assert said(settle(gate, str(new_id()), 1, 1), 404)["code"] == "NOT_FOUND"
    assert stands(alice) == (4, 30)


def test_after_expiry_and_grace_the_rest_is_lost_and_may_come_back_once(gate: Machine, alice: User) -> None:
    made = lease(gate, alice, ttl_s=60)["lease_id"]
    said(settle(gate, made, 1, 5, final=False))
    assert said(gate.post("/usage/refund", {"decision_id": made}), 409)["code"] == "CONFLICT"
    clock.shift(clock.offset() + timedelta(seconds=110))
    with transaction():
        assert end_leases() == (0, 0)
    clock.shift(clock.offset() + timedelta(seconds=10))
    said(settle(gate, made, 2, 5), 409)
    with transaction():
        assert end_leases() == (1, 1)
    assert (db.session.get_one(Lease, UUID(made)).state, stands(alice)) == ("lost", (4, 30))
    body = said(gate.post("/usage/refund", {"decision_id": made}))
    assert body["refunded"] == {"conversations": 3, "credits": 15}
    said(gate.post("/usage/refund", {"decision_id": made}), 409)
    assert stands(alice) == (1, 45)


def test_a_lost_lease_is_given_back_before_any_job_ran_and_stays_ended(gate: Machine, alice: User) -> None:
    made = lease(gate, alice, ttl_s=60)["lease_id"]
    clock.shift(clock.offset() + timedelta(seconds=121))
    said(gate.post("/usage/refund", {"decision_id": made}))
    assert stands(alice) == (0, 50)
    clock.shift(clock.offset() - timedelta(hours=1))
    said(settle(gate, made, 0, 0), 409)
    assert stands(alice) == (0, 50)


def test_an_old_lease_is_no_longer_given_back(gate: Machine, alice: User) -> None:
    made = lease(gate, alice)["lease_id"]
    clock.shift(clock.offset() + timedelta(days=31))
    said(gate.post("/usage/refund", {"decision_id": made}), 409)


def test_a_lease_of_which_all_was_reported_is_not_lost(gate: Machine, alice: User) -> None:
    made = lease(gate, alice)["lease_id"]
    said(settle(gate, made, 4, 20, final=False))
    clock.shift(clock.offset() + timedelta(hours=1))
    assert lost_leases(operator_actor(), alice.id) == []
    said(gate.post("/usage/refund", {"decision_id": made}), 409)
    with transaction():
        assert end_leases() == (1, 0)
    assert db.session.get_one(Lease, UUID(made)).state == "settled"


def test_what_returns_over_midnight_goes_to_the_day_it_came_from(gate: Machine, alice: User) -> None:
    stand_at("2031-12-10T23:59:30+00:00")
    made = lease(gate, alice, ttl_s=60)["lease_id"]
    stand_at("2031-12-11T00:00:10+00:00")
    assert said(gate.post("/usage/consume", {"username": "alice", "cost": {"conversations": 10}}))["code"] == "VALID"
    said(settle(gate, made, 1, 0))
    days = {str(row.day): row.used for row in db.session.scalars(select(UsageDay))}
    assert days == {"2031-12-10": 1, "2031-12-11": 10}
