"""How a user stands, and what was used on which day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from portal.accounts.models import Account
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.usage.history import (
    day_held_until,
    last_days,
    last_months,
    lost_leases,
    standing,
    used_by_key,
    used_by_model,
)
from portal.usage.models import Lease
from portal.usage.refunds import refund_lease
from portal.usage.reset import close_finished_days
from portal.usage.spending import NO_KEY
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import actor_named, make_account
from tests.visitor import Visitor


def test_each_day_is_shown_zeros_included_in_the_users_own_time(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice", time_zone="Asia/Tokyo")
    gate, key = machine(), key_of(alice)
    for now, units in (
        ("2031-05-01T23:59:00+09:00", 2),
        ("2031-05-02T00:01:00+09:00", 3),
        ("2031-05-04T12:00:00+09:00", 1),
    ):
        clock.shift(datetime.fromisoformat(now) - datetime.now(UTC))
        assert gate.post("/keys/verify", {"key": key, "cost": {"conversations": units}}).get_json()["valid"]
    days = last_days(actor_named("alice"), alice.id, days=5)
    assert days == [(date(2031, 4, 30) + timedelta(days=n), used) for n, used in enumerate([0, 2, 3, 0, 1])]


def test_looking_spends_nothing(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    for _ in range(3):
        alice.get("/account")
    actor = actor_named("alice")
    assert actor.id is not None
    seen = standing(actor, actor.id)
    assert (seen.used, seen.limit, seen.remaining, seen.credits) == (0, 100, 100, 0)


def test_only_oneself_and_the_desk_see_it(app: object) -> None:
    alice = make_account("alice")
    for name in ("bob", "tess"):
        make_account(name)
    with pytest.raises(NotFound):
        standing(actor_named("bob"), alice.id)
    with pytest.raises(NotFound):
        last_days(actor_named("bob"), alice.id)
    assert standing(actor_named("tess"), alice.id).limit == 100


def be_at(text: str) -> None:
    """Move the clock to this instant."""
    clock.shift(datetime.fromisoformat(text) - datetime.now(UTC))


def test_months_are_the_folded_ones_and_the_days_not_yet_closed(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice", time_zone="Asia/Tokyo")
    gate, key = machine(), key_of(alice)
    for now, units in (("2031-03-31T23:59:00+09:00", 2), ("2031-04-01T00:01:00+09:00", 3), ("2031-05-02T12:00:00Z", 4)):
        be_at(now)
        assert gate.post("/keys/verify", {"key": key, "cost": {"conversations": units}}).get_json()["valid"]
    actor, seen = actor_named("alice"), []
    for _ in range(2):
        seen.append(last_months(actor, alice.id, months=3))
        close_finished_days()
    assert seen[0] == seen[1] == [(date(2031, 3, 1), 2), (date(2031, 4, 1), 3), (date(2031, 5, 1), 4)]
    year = last_months(actor, alice.id)
    assert [year[0], len(year)] == [(date(2030, 6, 1), 0), 12]


def test_models_and_keys_are_added_up_from_the_details_within_the_span(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice, bob = make_account("alice"), make_account("bob")
    gate, key, other = machine(), key_of(alice, "one"), key_of(alice, "two")
    be_at("2031-05-01T12:00:00Z")
    spent = [(key, "m-1", 5), (other, "m-2", 2), (other, "", 1)]
    for used, model, units in spent:
        gate.post("/keys/verify", {"key": used, "model": model, "cost": {"conversations": units}})
    gate.post("/keys/verify", {"key": key_of(bob), "model": "m-9"})
    gate.post("/usage/consume", {"username": "alice", "model": "m-2", "cost": {"conversations": 4}})
    actor = actor_named("alice")
    for now, days, there in (
        ("2031-05-01T13:00:00Z", 1, True),
        ("2031-05-07T13:00:00Z", 7, True),
        ("2031-05-08T13:00:00Z", 7, False),
    ):
        be_at(now)
        models = used_by_model(actor, alice.id, days=days)
        assert [(row.model, row.used) for row in models] == ([("m-2", 6), ("m-1", 5), ("", 1)] if there else [])
        keys = used_by_key(actor, alice.id, days=days)
        assert [(row.key_id is None, row.used) for row in keys] == (
            [(False, 5), (True, 4), (False, 3)] if there else []
        )


def lose_lease(account: Account, **given: Any) -> Lease:
    """A lease whose client was not heard of again."""
    now = given.pop("created_at", clock.now())
    made = {"conversations": 10, "plan_credits": 3, "own_credits": 2, "used_conversations": 4, "used_credits": 1}
    lease = Lease(
        id=new_id(),
        user_id=account.id,
        key_id=NO_KEY,
        client_name="gate",
        day=now.date(),
        month=now.date().replace(day=1),
        ttl_s=60,
        created_at=now,
        expires_at=now,
        ends_at=now,
        **{"state": "lost", **made, **given},
    )
    with transaction():
        db.session.add(lease)
    return lease


def test_lost_leases_tell_what_was_never_reported_and_what_was_given_back(app: Doorward) -> None:
    alice, bob = make_account("alice"), make_account("bob")
    lost = lose_lease(alice)
    over = lose_lease(alice, state="open", created_at=clock.now() - timedelta(minutes=1))
    lose_lease(alice, state="settled")
    lose_lease(alice, state="open", created_at=clock.now() + timedelta(minutes=1))
    lose_lease(bob)
    lose_lease(alice, created_at=clock.now() - timedelta(days=91))
    seen = lost_leases(actor_named("alice"), alice.id)
    assert [lease.id for lease in seen] == [lost.id, over.id]
    assert (seen[0].lost_conversations, seen[0].lost_credits, seen[0].refundable) == (6, 4, True)
    with transaction():
        refund_lease(operator_actor().because("the client died"), lost.id)
    given = lost_leases(actor_named("alice"), alice.id)[0]
    assert given.given_back_at is not None
    assert not given.refundable


def test_one_that_reported_all_or_is_old_is_not_given_back(app: Doorward) -> None:
    alice = make_account("alice")
    lose_lease(alice, used_conversations=10, used_credits=5)
    lose_lease(alice, created_at=clock.now() - timedelta(days=31))
    assert [lease.refundable for lease in lost_leases(actor_named("alice"), alice.id)] == [False, False]


def test_what_of_others_is_asked_is_not_there(app: Doorward) -> None:
    alice = make_account("alice")
    gone = make_account("gone", state="deleted")
    make_account("bob")
    make_account("tess")
    reads: tuple[Callable[..., object], ...] = (last_months, used_by_model, used_by_key, lost_leases, day_held_until)
    for read in reads:
        with pytest.raises(NotFound):
            read(actor_named("bob"), alice.id)
        with pytest.raises(NotFound):
            read(actor_named("tess"), gone.id)
        read(actor_named("tess"), alice.id)
