"""Giving today's limit back: twice a day at most, whoever does it, never a unit twice, and the history stays true."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import CaseNeeded, Conflict, Forbidden, Invalid, PortalError
from portal.jobs.runner import run_job
from portal.usage.history import last_days, last_months, standing, used_by_key
from portal.usage.models import UsageDay
from portal.usage.today_reset import reset_today, today_of_user
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.moments import stand_at
from tests.people import acting, actor_named, make_account
from tests.races import race

BOSS = operator_actor().because("a test")
COST = {"conversations": 10}


@pytest.fixture
def alice(app: Doorward) -> Account:
    """Who has a hundred conversations a day, in UTC."""
    stand_at("2026-11-21T12:00:00+00:00")
    for name in ("tess", "theo", "ada"):
        make_account(name)
    return make_account("alice")


def used(alice: Account) -> tuple[int, int]:
    """Today as it counts, and as the history tells it."""
    db.session.expire_all()
    boss = operator_actor()
    return standing(boss, alice.id).used, last_days(boss, alice.id)[-1][1]


def test_it_takes_the_right_and_grounds_and_something_to_give_back(alice: Account) -> None:
    for who, wrong in (
        (actor_named("tess").because("x"), Forbidden),
        (actor_named("theo").because("x"), CaseNeeded),
        (acting("theo", make_account("bob")), CaseNeeded),
        (actor_named("ada"), Invalid),
        (actor_named("ada").because("x"), Conflict),
        (acting("theo", alice), Conflict),
    ):
        with pytest.raises(wrong), transaction():
            reset_today(who, alice.id)


def test_the_limit_is_whole_again_and_what_was_used_stays_in_the_history(
    alice: Account, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine(), key_of(alice)
    for _ in range(10):
        assert gate.post("/keys/verify", {"key": key, "cost": COST}).get_json()["valid"]
    assert gate.post("/keys/verify", {"key": key}).get_json()["code"] == "DAILY_LIMIT_REACHED"
    with transaction():
        assert reset_today(acting("theo", alice), alice.id).given_back == 100
    assert used(alice) == (0, 100)
    assert gate.post("/keys/verify", {"key": key, "cost": COST}).get_json()["valid"]
    assert used(alice) == (10, 110)
    boss = operator_actor()
    assert [share.used for share in used_by_key(boss, alice.id)] == [110]
    assert last_months(boss, alice.id)[-1][1] == 110
    with transaction():
        reset_today(actor_named("ada").because("once more"), alice.id)
    gate.post("/keys/verify", {"key": key})
    with pytest.raises(Conflict, match="twice"):
        today_of_user(BOSS, alice.id)
    entries = db.session.scalars(
        select(AuditEntry).where(AuditEntry.event == "usage.today_reset").order_by(AuditEntry.at)
    ).all()
    assert [(one.facts["used"], one.actor_name, bool(one.case)) for one in entries] == [
        (100, "theo", True),
        (10, "ada", False),
    ]
    stand_at("2026-11-22T00:00:30+00:00")
    run_job("reset_daily_limits", by_hand=True)
    assert last_months(boss, alice.id)[-1][1] == 111
    gate.post("/keys/verify", {"key": key})
    with transaction():
        reset_today(BOSS, alice.id)  # another day
    assert used(alice) == (0, 1)


def test_what_a_lease_holds_is_not_given_twice(
    alice: Account, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine("keys:verify", "usage:lease"), key_of(alice)
    gate.post("/keys/verify", {"key": key, "cost": COST})
    leased = gate.post("/usage/leases", {"user_id": str(alice.id), "conversations": 50, "ttl_s": 200})
    lease = leased.get_json()
    assert leased.status_code in {200, 201}, lease
    assert used(alice) == (60, 60)
    with transaction():
        before = reset_today(BOSS, alice.id)
    assert (before.held, before.given_back) == (50, 10)
    assert used(alice) == (50, 60)
    gate.post("/keys/verify", {"key": key, "cost": COST})
    gate.post(f"/usage/leases/{lease['lease_id']}/settle", {"used": {"conversations": 20}})
    assert used(alice) == (30, 40)


def test_of_many_at_once_one_resets_and_a_third_time_nobody(app: Doorward, alice: Account) -> None:
    user_id, today = alice.id, last_days(BOSS, alice.id)[-1][0]
    with transaction():
        db.session.add(UsageDay(user_id=user_id, day=today, used=90))

    def reset(_: int) -> str:
        with app.app_context():
            try:
                with transaction():
                    reset_today(BOSS, user_id)
                return "done"
            except PortalError as error:
                return type(error).__name__
            finally:
                db.session.remove()

    for most in (1, 1, 0):
        with transaction():
            db.session.get_one(UsageDay, (user_id, today), populate_existing=True).used = 90
        assert sorted(race(6, reset)) == ["Conflict"] * (6 - most) + ["done"] * most
    stored = db.session.get_one(UsageDay, (user_id, today), populate_existing=True)
    assert (stored.resets, stored.given_back, stored.used) == (2, 180, 90)
