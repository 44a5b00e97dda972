"""What all users used: added up by a job, exactly, however many users there are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest

from portal.accounts.models import Account
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Forbidden
from portal.insight.models import Figure
from portal.insight.usage import UsageOverview, count_usage, usage_overview
from portal.jobs.runner import run_job
from portal.privacy.deletion import delete_user
from portal.usage.credits import grant_credits
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import actor_named, make_account
from tests.races import race


@pytest.fixture(autouse=True)
def noon(app: Doorward) -> None:
    """No test runs over a midnight."""
    clock.shift(datetime.fromisoformat("2031-12-10T12:00:00+00:00") - clock.now())


def overview() -> UsageOverview:
    """Freshly counted."""
    with transaction():
        assert count_usage()
    seen = usage_overview(operator_actor())
    assert seen is not None
    return seen


@pytest.fixture
def use(machine: Callable[..., Machine], key_of: Callable[..., str]) -> Callable[..., None]:
    """`use(account, 3, model="m-1", credits=0)`: by a key of the account's own."""
    gate = machine()
    keys: dict[str, str] = {}

    def spend(account: Account, units: int, *, model: str = "m-1", credits: int = 0) -> None:
        if account.username not in keys:
            keys[account.username] = key_of(account, f"key of {account.username}")
        cost = {"conversations": units, "credits": credits}
        body = {"key": keys[account.username], "cost": cost, "model": model}
        assert gate.post("/keys/verify", body).get_json()["valid"]

    return spend


def test_nothing_counted_is_nothing_shown(app: Doorward) -> None:
    assert usage_overview(operator_actor()) is None
    seen = overview()
    assert (seen.models, seen.top_users, seen.top_keys) == ([], [], [])
    assert len(seen.days) == 30


@pytest.mark.parametrize("size", [1, 2, 2_000])
def test_days_models_users_and_keys_are_added_up_over_all_ranges(
    size: int, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.insight.usage.RANGE", size)
    alice, bob, carol = (make_account(name) for name in ("alice", "bob", "carol"))
    with transaction():
        grant_credits(operator_actor().because("a present"), bob.id, 50)
    use(alice, 3)
    use(bob, 5, model="m-2", credits=7)
    use(carol, 1)
    clock.shift(clock.offset() + timedelta(days=2))
    use(alice, 4, model="m-2")
    seen = overview()
    assert dict(seen.days)[date(2031, 12, 10)] == 9
    assert seen.days[-1] == (date(2031, 12, 12), 4)
    assert seen.models == [("m-2", 9, 7), ("m-1", 4, 0)]
    assert [(user.username, user.used) for user in seen.top_users] == [("alice", 7), ("bob", 5), ("carol", 1)]
    assert [(key.name, key.username, key.used, key.credits) for key in seen.top_keys] == [
        ("key of alice", "alice", 7, 0),
        ("key of bob", "bob", 5, 7),
        ("key of carol", "carol", 1, 0),
    ]
    clock.shift(clock.offset() + timedelta(days=30))
    assert overview().top_users == []


def test_the_top_is_cut_and_knows_no_deleted(use: Callable[..., None]) -> None:
    people = [make_account(f"user{number:02}") for number in range(13)]
    for number, person in enumerate(people):
        use(person, number + 1)
    with transaction():
        delete_user(operator_actor().because("asked"), people[12].id, typed_name="user12")
    seen = overview()
    assert [user.username for user in seen.top_users] == [f"user{number:02}" for number in range(11, 1, -1)]
    assert [key.username for key in seen.top_keys] == [f"user{number:02}" for number in range(11, 1, -1)]


def test_counting_takes_one_hundredth_of_the_time_at_most(app: Doorward) -> None:
    with transaction():
        assert count_usage(patiently=True)
        figure = db.session.get_one(Figure, "usage")
        figure.value = {**figure.value, "took_s": 1.8}
    clock.shift(clock.offset() + timedelta(seconds=170))
    run = run_job("count_usage", by_hand=True)
    assert run is not None
    assert run.summary == "not yet: counting takes long here"
    clock.shift(clock.offset() + timedelta(seconds=20))
    assert count_usage(patiently=True)


def test_many_who_count_for_the_first_time_agree(app: Doorward) -> None:
    def count(_: int) -> bool:
        with app.app_context(), transaction():
            return count_usage()

    assert race(4, count) == [True] * 4
    assert usage_overview(operator_actor()) is not None


def test_it_is_for_who_may_see_users(app: Doorward) -> None:
    for name in ("alice", "tara", "max"):
        make_account(name)
        with pytest.raises(Forbidden):
            usage_overview(actor_named(name))
