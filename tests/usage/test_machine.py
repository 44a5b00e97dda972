"""Whatever happens in whatever order, nothing is spent twice, lost or won: 2,000 random steps held against a model."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conftest import Machine
from tests.usage.machine import machine_at

EXAMPLES, STEPS = 25, 60  # on each database


def test_the_books_are_right_after_every_step(machine: Callable[..., Machine]) -> None:
    run_state_machine_as_test(
        machine_at(machine()),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # shrinking takes minutes: add Phase.shrink by hand
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
