"""The state machine for 100,000 steps on each database."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Machine
from tests.machines import run_machine
from tests.usage.machine import machine_at

EXAMPLES, STEPS = 1000, 100  # on each database


def test_the_books_are_right_after_every_step(machine: Callable[..., Machine]) -> None:
    run_machine(machine_at(machine()), EXAMPLES, STEPS)
