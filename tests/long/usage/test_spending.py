"""The race for the last unit, twenty rounds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Machine
from tests.races import race_processes, race_threads
from tests.servers import Server

ROUNDS = 20


@pytest.mark.parametrize("setting", [{"threads": 64, "db_timeout_s": 30}])
def test_of_fifty_threads_one_has_the_last_unit_in_every_round(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    race_threads(machine("keys:verify"), key_of, ROUNDS)


@pytest.mark.parametrize("served", [2], indirect=True)
def test_of_fifty_processes_one_has_the_last_unit_in_every_round(
    served: Server, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    race_processes(served, machine("keys:verify").token or "", key_of, ROUNDS)
