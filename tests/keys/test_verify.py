"""Is this key good, and may it spend? Every code of the contract that can be reached, asked over the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select, update

from portal.accounts.lifecycle import reactivate, suspend
from portal.accounts.models import Account, State
from portal.core import clock, crypto
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.keys.models import ApiKey
from portal.keys.secrets import KEY_PREFIX, make_secret
from portal.keys.service import revoke_key
from portal.privacy.deletion import delete_user, restore_user
from portal.usage.credits import grant_credits
from portal.usage.models import CreditEntry, UsageDay, UsageDetail
from portal.usage.plan_changes import change_plan
from portal.usage.plans import PlanTerms, create_plan, edit_plan
from tests.conftest import Machine
from tests.people import actor_named, make_account

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(machine: Callable[..., Machine]) -> Ask:
    """Ask about a key and answer the body: `ask(key, cost={…})`."""
    gate = machine("keys:verify")

    def call(key: str, **rest: Any) -> dict[str, Any]:
        answer = gate.post("/keys/verify", {"key": key, **rest})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.get_json()
        assert body["valid"] is (body["code"] == "VALID")
        return body

    return call


def change_key(secret: str, **columns: object) -> None:
    """Give the key other columns, for what no page offers yet."""
    with transaction():
        values = {**columns, "version": ApiKey.version + 1}
        db.session.execute(update(ApiKey).where(ApiKey.digest == crypto.digest(secret)).values(**values))


def give_credits(account: Account, amount: int) -> None:
    """Let the operator grant credits."""
    with transaction():
        grant_credits(operator_actor().because("a test"), account.id, amount)


def used_today() -> int:
    """All conversations written down."""
    db.session.expire_all()
    return sum(db.session.scalars(select(UsageDay.used)))


# ---- The codes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["", "dw_", "dw_nonsense", "nonsense", "dwc_" + "a" * 43, "dw_" + "é" * 49, "🔑"])
def test_a_malformed_key_is_unknown(ask: Ask, wrong: str) -> None:
    body = ask(wrong)
    assert set(body) == {"valid", "code", "decision_id"}
    assert body["code"] == "KEY_UNKNOWN"


def test_a_well_formed_key_of_another_house_is_unknown(ask: Ask) -> None:
    assert ask(make_secret())["code"] == "KEY_UNKNOWN"


def test_a_cut_padded_or_recased_key_is_unknown(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice"))
    for wrong in (key[:-1], key + "0", f" {key}", f"{key} ", key.swapcase(), key.removeprefix(KEY_PREFIX)):
        assert ask(wrong)["code"] == "KEY_UNKNOWN"
    assert ask(key)["code"] == "VALID"


def test_a_revoked_key_is_refused_by_the_next_call(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice")
    key = key_of(alice)
    assert ask(key)["code"] == "VALID"
    row = db.session.scalars(select(ApiKey)).one()
    with transaction():
        revoke_key(actor_named("alice"), row.id)
    assert ask(key)["code"] == "KEY_REVOKED"
    assert used_today() == 1


def test_a_key_expires_at_its_instant(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice"))
    change_key(key, expires_at=clock.now() + timedelta(minutes=5))
    assert ask(key)["code"] == "VALID"
    clock.shift(timedelta(minutes=6))
    assert ask(key)["code"] == "KEY_EXPIRED"


def test_a_suspension_is_felt_by_the_next_call_and_so_is_its_end(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice")
    key = key_of(alice)
    with transaction():
        suspend(operator_actor().because("a test"), alice.id)
    assert ask(key)["code"] == "ACCOUNT_SUSPENDED"
    with transaction():
        reactivate(operator_actor(), alice.id)
    assert ask(key)["code"] == "VALID"
    assert used_today() == 1


def test_somebody_invited_who_never_came_is_not_let_in(ask: Ask, key_of: Callable[..., str]) -> None:
    assert ask(key_of(make_account("alice", state=State.INVITED.value)))["valid"] is False


def test_a_closing_account_counts_as_deleted(ask: Ask, key_of: Callable[..., str]) -> None:
    body = ask(key_of(make_account("alice", state=State.CLOSING.value)))
    assert body["code"] == "ACCOUNT_DELETED"
    assert body["user"]["username"] is None


def test_a_deletion_ends_the_keys_for_good(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice")
    key = key_of(alice)
    with transaction():
        delete_user(operator_actor().because("a test"), alice.id, typed_name="alice")
    assert ask(key)["code"] in {"KEY_REVOKED", "ACCOUNT_DELETED"}
    with transaction():
        restore_user(operator_actor(), alice.id)
    assert ask(key)["code"] == "KEY_REVOKED"
    assert used_today() == 0


def test_a_key_bound_to_networks_is_refused_elsewhere(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice"))
    change_key(key, networks=["203.0.113.0/24", "2001:db8::/32"])
    inside = ["203.0.113.7", "2001:db8::1", "::ffff:203.0.113.7"]
    outside = ["198.51.100.1", "2001:db9::1", "::ffff:198.51.100.1", "203.0.113.7/24", "203.0.113", "nonsense", ""]
    assert {address: ask(key, ip=address)["code"] for address in inside} == dict.fromkeys(inside, "VALID")
    assert {address: ask(key, ip=address)["code"] for address in outside} == dict.fromkeys(outside, "IP_NOT_ALLOWED")
    assert ask(key)["code"] == "IP_NOT_ALLOWED"


def test_a_damaged_network_lets_nobody_in(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice"))
    change_key(key, networks=["everywhere"])
    assert ask(key, ip="203.0.113.7")["code"] == "IP_NOT_ALLOWED"


def test_a_key_without_networks_is_good_from_anywhere(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice"))
    assert [ask(key, ip=address)["code"] for address in (None, "203.0.113.7", "nonsense")] == ["VALID"] * 3


def test_a_key_without_a_wanted_scope_is_refused(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice"))
    change_key(key, scopes=["chat", "embed"])
    assert ask(key, scopes=["chat"])["code"] == "VALID"
    assert ask(key, scopes=["chat", "images"])["code"] == "SCOPE_MISSING"
    assert ask(key)["scopes"] == ["chat", "embed"]


def test_the_daily_limit_holds_and_is_told(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice", daily_limit_override=2))
    assert [ask(key)["code"] for _ in range(4)] == ["VALID", "VALID", "DAILY_LIMIT_REACHED", "DAILY_LIMIT_REACHED"]
    told = ask(key)["daily"]
    assert (told["limit"], told["used"], told["remaining"]) == (2, 2, 0)


def test_a_cost_over_what_is_left_spends_nothing(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice", daily_limit_override=10))
    assert ask(key, cost={"conversations": 11})["code"] == "DAILY_LIMIT_REACHED"
    assert ask(key, cost={"conversations": 7})["daily"]["remaining"] == 3
    assert ask(key, cost={"conversations": 4})["code"] == "DAILY_LIMIT_REACHED"
    assert ask(key, cost={"conversations": 3})["daily"]["remaining"] == 0


def test_credits_run_out(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice")
    key = key_of(alice)
    assert ask(key, cost={"credits": 1})["code"] == "CREDITS_EXHAUSTED"
    give_credits(alice, 5)
    assert ask(key, cost={"credits": 3})["credits"] == {"remaining": 2}
    assert ask(key, cost={"credits": 3})["code"] == "CREDITS_EXHAUSTED"
    assert ask(key, cost={"credits": 2})["credits"] == {"remaining": 0}


def test_the_checks_run_in_the_order_of_the_contract(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice", daily_limit_override=0, state=State.CLOSING.value)
    key = key_of(alice)
    change_key(
        key, revoked_at=clock.now(), expires_at=clock.now() - timedelta(1), networks=["10.0.0.0/8"], scopes=["chat"]
    )
    asked = {"cost": {"conversations": 1, "credits": 1}, "scopes": ["images"], "ip": "203.0.113.7"}
    seen = []
    mend: list[Callable[[], None]] = [
        lambda: change_key(key, revoked_at=None),
        lambda: change_key(key, expires_at=None),
        lambda: change_account(alice, state=State.SUSPENDED.value),
        lambda: change_account(alice, state=State.ACTIVE.value),
        lambda: change_key(key, networks=[]),
        lambda: change_key(key, scopes=["chat", "images"]),
        lambda: change_account(alice, daily_limit_override=5),
        lambda: give_credits(alice, 1),
    ]
    for step in mend:
        seen.append(ask(key, **asked)["code"])
        step()
    seen.append(ask(key, **asked)["code"])
    assert seen == [
        "KEY_REVOKED", "KEY_EXPIRED", "ACCOUNT_DELETED", "ACCOUNT_SUSPENDED", "IP_NOT_ALLOWED", "SCOPE_MISSING",
        "DAILY_LIMIT_REACHED", "CREDITS_EXHAUSTED", "VALID",
    ]  # fmt: skip
    assert used_today() == 1


def change_account(account: Account, **columns: object) -> None:
    """Give the account other columns."""
    with transaction():
        for name, value in columns.items():
            setattr(account, name, value)


# ---- Spending -----------------------------------------------------------------------------------------------------


def test_both_parts_are_spent_or_neither(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice", daily_limit_override=1)
    key = key_of(alice)
    give_credits(alice, 5)
    assert ask(key, cost={"conversations": 1, "credits": 6})["code"] == "CREDITS_EXHAUSTED"
    assert used_today() == 0
    assert ask(key, cost={"conversations": 2, "credits": 1})["code"] == "DAILY_LIMIT_REACHED"
    body = ask(key, cost={"conversations": 1, "credits": 5})
    assert (body["code"], body["daily"]["used"], body["credits"]["remaining"]) == ("VALID", 1, 0)
    assert [entry.amount for entry in db.session.scalars(select(CreditEntry).order_by(CreditEntry.id))] == [5, -5]


def test_a_refused_call_that_was_first_of_the_day_leaves_no_trace(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice"))
    assert ask(key, cost={"conversations": 1, "credits": 1})["daily"]["used"] == 0
    assert db.session.scalars(select(UsageDay)).all() == []
    assert db.session.scalars(select(UsageDetail)).all() == []


def test_a_cost_of_zero_only_looks(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice", daily_limit_override=1))
    for _ in range(3):
        assert ask(key, cost={"conversations": 0})["daily"]["used"] == 0
    ask(key)
    body = ask(key, cost={"conversations": 0, "credits": 0})
    assert (body["code"], body["daily"]["remaining"]) == ("VALID", 0)
    assert used_today() == 1


def test_credits_alone_use_no_conversation(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice", daily_limit_override=0)
    give_credits(alice, 3)
    body = ask(key_of(alice), cost={"conversations": 0, "credits": 2})
    assert (body["code"], body["daily"]["used"], body["credits"]["remaining"]) == ("VALID", 0, 1)


def test_the_price_of_the_model_comes_from_the_plan(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice")
    key = key_of(alice)
    give_credits(alice, 20)
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("priced", 100, prices={"m-1": 3, "m-2": 0}))
        change_plan(operator_actor(), alice.id, plan.id)
    left = [ask(key, model=model)["credits"]["remaining"] for model in ("m-1", " M-1 ", "m-2", "m-3", "")]
    assert left == [17, 14, 14, 14, 14]


def test_credits_given_with_the_call_win_over_the_price(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice")
    key = key_of(alice)
    give_credits(alice, 20)
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("priced", 100, prices={"m-1": 3}))
        change_plan(operator_actor(), alice.id, plan.id)
    assert ask(key, model="m-1", cost={"credits": 7})["credits"]["remaining"] == 13
    assert ask(key, model="m-1", cost={"credits": 0})["credits"]["remaining"] == 13
    assert ask(key, model="m-1", cost={"credits": None})["credits"]["remaining"] == 10


def test_use_is_kept_by_key_and_model(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice")
    first, second = key_of(alice, "first"), key_of(alice, "second")
    for key, model in ((first, "m-1"), (first, "m-1"), (first, ""), (second, "m-1")):
        ask(key, model=model)
    assert sorted((row.model, row.used) for row in db.session.scalars(select(UsageDetail))) == [
        ("", 1), ("m-1", 1), ("m-1", 2),
    ]  # fmt: skip
    assert used_today() == 4


# ---- What holds: override, plan, the present one ------------------------------------------------------------------


def test_no_limit_is_told_as_null(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice")
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("boundless", None))
        change_plan(operator_actor(), alice.id, plan.id)
    body = ask(key_of(alice), cost={"conversations": 1_000_000})
    assert (body["code"], body["daily"]["limit"], body["daily"]["remaining"]) == ("VALID", None, None)
    assert body["daily"]["used"] == 1_000_000


def test_an_unlimited_user_may_spend_beyond_32_bits(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice")
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("boundless", None))
        change_plan(operator_actor(), alice.id, plan.id)
    key = key_of(alice)
    ask(key, cost={"conversations": 1_000_000})
    with transaction():
        for counter in (UsageDay, UsageDetail):
            db.session.execute(update(counter).values(used=2**31 - 1))
    assert ask(key, cost={"conversations": 1_000_000})["daily"]["used"] == 2**31 - 1 + 1_000_000


def test_the_override_wins_and_without_it_the_plan_counts(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice", daily_limit_override=7)
    key = key_of(alice)
    assert ask(key)["daily"]["limit"] == 7
    change_account(alice, daily_limit_override=0)
    assert ask(key)["code"] == "DAILY_LIMIT_REACHED"
    change_account(alice, daily_limit_override=None)
    assert ask(key)["daily"]["limit"] == 100


def test_another_plan_is_felt_by_the_next_call(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice")
    key = key_of(alice)
    assert (ask(key)["user"]["plan"], ask(key)["daily"]["limit"]) == ("free", 100)
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("tiny", 2))
        change_plan(operator_actor(), alice.id, plan.id)
    body = ask(key)
    assert (body["user"]["plan"], body["code"], body["daily"]["remaining"]) == ("tiny", "DAILY_LIMIT_REACHED", 0)


def test_a_changed_plan_is_felt_by_the_next_call(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice")
    key = key_of(alice)
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("tiny", 1))
        change_plan(operator_actor(), alice.id, plan.id)
    assert [ask(key)["code"] for _ in range(2)] == ["VALID", "DAILY_LIMIT_REACHED"]
    with transaction():
        edit_plan(operator_actor(), plan.id, PlanTerms("tiny", 2), version=plan.version)
    assert [ask(key)["code"] for _ in range(2)] == ["VALID", "DAILY_LIMIT_REACHED"]


# ---- The day ------------------------------------------------------------------------------------------------------


def at_local(text: str) -> None:
    """Move the clock to this instant."""
    clock.shift(clock.offset() + (datetime.fromisoformat(text) - clock.now()))


def test_a_new_local_day_starts_at_zero_though_no_job_ran(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice", time_zone="Asia/Tokyo", daily_limit_override=1))
    at_local("2031-05-10T23:59:00+09:00")
    assert [ask(key)["code"] for _ in range(2)] == ["VALID", "DAILY_LIMIT_REACHED"]
    assert ask(key)["daily"]["resets_at"] == "2031-05-11T00:00:00+09:00"
    at_local("2031-05-11T00:00:01+09:00")
    assert [ask(key)["code"] for _ in range(2)] == ["VALID", "DAILY_LIMIT_REACHED"]


def test_the_reset_is_told_with_the_offset_of_that_day(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice", time_zone="Europe/Berlin"))
    told = []
    for now in ("2031-03-29T12:00:00+01:00", "2031-03-30T12:00:00+02:00", "2031-10-26T12:00:00+01:00"):
        at_local(now)
        told.append(ask(key)["daily"]["resets_at"])
    assert told == ["2031-03-30T00:00:00+01:00", "2031-03-31T00:00:00+02:00", "2031-10-27T00:00:00+01:00"]


def test_a_day_that_has_an_hour_twice_is_one_day(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice", time_zone="America/Havana"))
    used = []
    for now in ("2026-10-31T23:59:00-04:00", "2026-11-01T00:30:00-04:00", "2026-11-01T00:30:00-05:00"):
        at_local(now)
        used.append(ask(key)["daily"]["used"])
    assert used == [1, 1, 2]


def test_moving_between_zones_gives_no_date_a_second_budget(ask: Ask, key_of: Callable[..., str]) -> None:
    alice = make_account("alice", time_zone="UTC", daily_limit_override=3)
    key = key_of(alice)
    at_local("2031-05-10T12:30:00+00:00")
    spent = 0
    for zone in ["Pacific/Kiritimati", "UTC", "Etc/GMT+12"] * 4:
        change_account(alice, time_zone=zone)
        while ask(key)["code"] == "VALID":
            spent += 1
    dates = db.session.scalars(select(UsageDay.day).order_by(UsageDay.day)).all()
    assert spent == 3 * len(dates)
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(dates))


def test_every_decision_has_its_own_id(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice"))
    assert len({ask(key)["decision_id"] for _ in range(3)} | {ask("dw_no")["decision_id"]}) == 4
