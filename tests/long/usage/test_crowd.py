"""100,000 random steps of 64 threads against three processes, and the last unit of three instances under fifty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from random import SystemRandom

import pytest

from portal.core.settings import Settings
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import make_account
from tests.races import race, used_by
from tests.servers import Caller, Server, running_server
from tests.usage.crowd import Crowd, let_loose

THREADS, PROCESSES, STEPS = 64, 3, 100_000
CLIENTS, ROUNDS = 50, 20


@pytest.fixture
def instances(app: Doorward, settings: Settings) -> Iterator[list[Server]]:
    """Three servers on the database of this test."""
    given = {"DATABASE_URL": settings.database_url, "DURABILITY": "process", "DATA_DIR": str(settings.data_dir)}
    with ExitStack() as stack:
        yield [stack.enter_context(running_server(dict(given))) for _ in range(PROCESSES)]


def test_no_unit_is_spent_twice_and_none_is_lost(
    app: Doorward, instances: list[Server], machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    crowd, token = Crowd(app, key_of), machine("keys:verify", "usage:consume", "usage:lease").token or ""
    crowd.furnish(limit=5_000, credits=2_000)
    seed = SystemRandom().randrange(10**6)
    codes = let_loose(crowd, instances, token, threads=THREADS, steps=STEPS, seed=seed)
    assert {"VALID", "DAILY_LIMIT_REACHED", "CREDITS_EXHAUSTED", "refunded", "settled"} <= set(codes), (seed, codes)


def test_of_fifty_clients_of_three_instances_one_has_the_last_unit(
    instances: list[Server], machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    token = machine("keys:verify").token or ""
    with ExitStack() as stack:
        callers = [stack.enter_context(instances[number % PROCESSES].caller(token)) for number in range(CLIENTS)]
        for number in range(ROUNDS):
            user = make_account(f"user-{number}", daily_limit_override=1)
            codes = race_callers(callers, {"key": key_of(user)})
            assert codes == Counter(VALID=1, DAILY_LIMIT_REACHED=CLIENTS - 1)
            assert used_by(user) == 1


def race_callers(callers: list[Caller], body: dict[str, str]) -> Counter[str]:
    """How often each code is heard when all ask the same at once."""
    answers = race(len(callers), lambda place: callers[place].post("/api/v1/keys/verify", body))
    assert {status for status, _ in answers} == {200}
    return Counter(said["code"] for _, said in answers)
