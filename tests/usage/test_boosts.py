"""A temporary boost: on top of what holds, until its instant, felt at once, over without any job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select

from portal.accounts.models import User
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.usage.boosts import boost_limit, end_boost
from portal.usage.limits import limits_of
from portal.usage.plans import PlanTerms, create_plan
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import actor_named, make_account

DAY = timedelta(days=1)
BOSS = operator_actor().because("a workshop")


def boost(user: User, extra: int = 50, lasts: timedelta = DAY) -> None:
    """The operator boosts the user's limit."""
    with transaction():
        boost_limit(BOSS, user.id, extra, clock.now() + lasts)


def limit_of(user: User) -> int | None:
    """The limit that holds now, read afresh."""
    db.session.expire_all()
    return limits_of(operator_actor(), user.id).daily_limit


@pytest.fixture
def alice(app: Doorward) -> User:
    """Alice on the plan free, 100 a day."""
    made = make_account("alice")
    assert isinstance(made, User)
    return made


def test_a_boost_raises_the_plan_or_the_own_limit_until_its_instant(alice: User) -> None:
    boost(alice)
    assert limit_of(alice) == 150
    with transaction():
        db.session.get_one(User, alice.id).daily_limit_override = 7
    assert limit_of(alice) == 57
    clock.shift(DAY)
    assert limit_of(alice) == 7
    assert limits_of(operator_actor(), alice.id).boost is None


def test_verify_feels_a_boost_at_once_and_its_end_without_a_job(
    app: Doorward, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice", daily_limit_override=1)
    assert isinstance(alice, User)
    key, gate = key_of(alice), machine()

    def ask() -> str:
        return str(gate.post("/keys/verify", {"key": key}).get_json()["code"])

    assert [ask(), ask()] == ["VALID", "DAILY_LIMIT_REACHED"]
    boost(alice, 1, timedelta(seconds=1.5))
    assert [ask(), ask()] == ["VALID", "DAILY_LIMIT_REACHED"]
    clock.shift(timedelta(seconds=2))
    assert gate.post("/keys/verify", {"key": key}).get_json()["daily"]["limit"] == 1
    with transaction():
        end = boost_limit(BOSS, alice.id, 5, clock.now() + DAY)
    assert end.extra == 5
    assert ask() == "VALID"
    with transaction():
        end_boost(operator_actor(), alice.id)
    assert ask() == "DAILY_LIMIT_REACHED"


def test_a_boost_takes_the_place_of_the_one_before(alice: User) -> None:
    boost(alice, 50)
    boost(alice, 5)
    assert limit_of(alice) == 105


def test_boost_and_end_are_in_the_audit_with_who_why_and_until_when(alice: User) -> None:
    until = clock.now() + DAY
    with transaction():
        boost_limit(BOSS, alice.id, 50, until)
    with transaction():
        end_boost(operator_actor(), alice.id)
    made, ended = db.session.scalars(select(AuditEntry).order_by(AuditEntry.at, AuditEntry.id))
    facts = {"extra": 50, "until": until.isoformat(timespec="seconds")}
    assert (made.event, made.facts, made.reason) == ("account.limit_boosted", facts, "a workshop")
    assert (ended.event, ended.facts["extra"]) == ("account.boost_ended", 50)
    assert limit_of(alice) == 100
    with pytest.raises(Conflict):
        end_boost(operator_actor(), alice.id)


@pytest.mark.parametrize("extra", [0, -1, 1_000_001, 2**53, 2**63])
def test_an_amount_out_of_bounds_is_refused(alice: User, extra: int) -> None:
    with pytest.raises(Invalid) as refused:
        boost(alice, extra)
    assert list(refused.value.fields) == ["extra"]
    assert limit_of(alice) == 100


@pytest.mark.parametrize("lasts", [timedelta(0), -DAY, 91 * DAY])
def test_a_time_that_is_past_or_too_far_is_refused(alice: User, lasts: timedelta) -> None:
    with pytest.raises(Invalid) as refused:
        boost(alice, lasts=lasts)
    assert list(refused.value.fields) == ["until"]


@pytest.mark.parametrize("until", [datetime.min, datetime.max])
@pytest.mark.parametrize("hours", [-14, 0, 14])
def test_the_ends_of_time_are_refused_in_every_zone(alice: User, until: datetime, hours: int) -> None:
    with pytest.raises(Invalid):
        boost_limit(BOSS, alice.id, 5, until.replace(tzinfo=timezone(timedelta(hours=hours))))


def test_a_boost_wants_a_reason_and_everything_wrong_is_told_at_once(alice: User) -> None:
    with pytest.raises(Invalid) as refused:
        boost_limit(operator_actor(), alice.id, 0, datetime(2020, 1, 1, tzinfo=UTC))
    assert refused.value.fields.keys() == {"extra", "until", "reason"}


def test_what_has_no_limit_cannot_be_boosted(alice: User) -> None:
    with transaction():
        endless = create_plan(operator_actor(), PlanTerms("endless", None))
    with transaction():
        alice.plan_id = endless.id
    with pytest.raises(Conflict):
        boost(alice)
    with transaction():
        alice.daily_limit_override = 7
    boost(alice)
    assert limit_of(alice) == 57


def test_who_may_not_boosts_nobody(alice: User) -> None:
    for name in ("theo", "max"):
        make_account(name)
    for name in ("alice", "theo", "max"):
        with pytest.raises(Forbidden):
            boost_limit(actor_named(name).because("please"), alice.id, 5, clock.now() + DAY)
        with pytest.raises(Forbidden):
            end_boost(actor_named(name), alice.id)
    with pytest.raises(NotFound):
        boost_limit(BOSS, new_id(), 5, clock.now() + DAY)


def test_one_sees_the_own_limits_and_not_those_of_others(alice: User) -> None:
    bob = make_account("bob")
    boost(alice)
    seen = limits_of(actor_named("alice"), alice.id)
    assert (seen.plan.name, seen.override, seen.daily_limit) == ("free", None, 150)
    assert seen.boost is not None
    assert seen.boost.extra == 50
    with pytest.raises(NotFound):
        limits_of(actor_named("bob"), alice.id)
    with pytest.raises(NotFound):
        limits_of(operator_actor(), new_id())
    assert limits_of(actor_named("bob"), bob.id).boost is None
