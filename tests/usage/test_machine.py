"""Whatever happens in whatever order, nothing is spent twice, lost or won: 2,000 random steps held against a model."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Machine
from tests.machines import run_machine
from tests.usage.machine import machine_at

EXAMPLES, STEPS = 25, 60  # on each database


def test_the_books_are_right_after_every_step(machine: Callable[..., Machine]) -> None:
    run_machine(machine_at(machine()), EXAMPLES, STEPS)
