"""How a user stands, and what was used on which day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from portal.core import clock
from portal.core.errors import NotFound
from portal.usage.history import last_days, standing
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
