"""Leases under a race and at their bounds: what is left comes back once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from portal.accounts.models import User
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import transaction
from portal.core.errors import Invalid
from portal.usage.credits import grant_credits
from portal.usage.leases import check_terms
from tests.conftest import Machine
from tests.people import make_account
from tests.races import race, used_by

MANY = pytest.mark.parametrize("setting", [{"threads": 64, "db_timeout_s": 30}])
AT_ONCE = 20


@pytest.fixture
def alice(app: object) -> User:
    """Alice with a hundred of each."""
    made = make_account("alice", daily_limit_override=100)
    assert isinstance(made, User)
    with transaction():
        grant_credits(operator_actor().because("a test"), made.id, 100)
    return made


@pytest.fixture
def clients(alice: User, machine: Callable[..., Machine]) -> list[Machine]:
    """Many connections of one client."""
    gate = machine("keys:verify", "usage:consume", "usage:lease")
    return [Machine(gate.client.application.test_client(), gate.token) for _ in range(AT_ONCE)]


def open_lease(gate: Machine, user: User) -> str:
    """Ten conversations and ten credits."""
    asked = {"user_id": str(user.id), "conversations": 10, "credits": 10, "ttl_s": 60}
    made: str = gate.post("/usage/leases", asked).get_json()["lease_id"]
    return made


def credits_of(gate: Machine) -> int:
    """What is left."""
    body = gate.post("/usage/consume", {"username": "alice", "cost": {"conversations": 0}}).get_json()
    left: int = body["credits"]["remaining"]
    return left


@MANY
def test_of_many_last_reports_one_counts(alice: User, clients: list[Machine]) -> None:
    lease = open_lease(clients[0], alice)
    path = f"/usage/leases/{lease}/settle"
    answers = race(
        AT_ONCE, lambda n: clients[n].post(path, {"used": {"conversations": 1 + n % 4, "credits": 1 + n % 4}})
    )
    done = [answer.get_json() for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 409, 422}
    assert len({answer["used"]["conversations"] for answer in done}) == 1
    used = done[0]["used"]["conversations"]
    assert (used_by(alice), credits_of(clients[0])) == (used, 100 - used)


@MANY
def test_of_many_who_give_a_lost_lease_back_one_does(alice: User, clients: list[Machine]) -> None:
    lease = open_lease(clients[0], alice)
    clock.shift(timedelta(seconds=121))
    path = f"/usage/leases/{lease}/settle"

    def act(number: int) -> int:
        if number % 4 == 0:
            return clients[number].post(path, {"used": 0}).status_code
        return clients[number].post("/usage/refund", {"decision_id": lease}).status_code

    assert Counter(race(AT_ONCE, act)) == Counter({200: 1, 409: AT_ONCE - 1})
    assert (used_by(alice), credits_of(clients[0])) == (0, 100)


@MANY
def test_many_leases_together_are_never_more_than_there_is(alice: User, clients: list[Machine]) -> None:
    asked = {"user_id": str(alice.id), "conversations": 9, "credits": 7}
    answers = [answer.get_json() for answer in race(AT_ONCE, lambda n: clients[n].post("/usage/leases", asked))]
    granted = [(body["granted"]["conversations"], body["granted"]["credits"]) for body in answers]
    assert (sum(one for one, _ in granted), used_by(alice)) == (100, 100)
    assert sum(credits for _, credits in granted) == 100 - credits_of(clients[0]) <= 100
    assert all(body["valid"] is (body["lease_id"] is not None) for body in answers)


@pytest.mark.parametrize(
    ("terms", "fields"),
    [
        ((-1, 0, 60), {"/conversations"}),
        ((0, 1_000_001, 60), {"/credits"}),
        ((0, 0, 60), {"/conversations"}),
        ((1, 0, 4), {"/ttl_s"}),
        ((-1, -1, 301), {"/conversations", "/credits", "/ttl_s"}),
    ],
)
def test_terms_out_of_bounds_are_named(app: object, terms: tuple[int, int, int], fields: set[str]) -> None:
    with pytest.raises(Invalid) as raised:
        check_terms(*terms)
    assert set(raised.value.fields) == fields
