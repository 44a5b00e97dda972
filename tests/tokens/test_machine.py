"""Whatever happens in whatever order, no refresh token is good twice and none after the end of its family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.tokens.machine import Families

if TYPE_CHECKING:
    from portal.web.frame import Doorward

EXAMPLES, STEPS = 6, 15  # on each database


def test_never_two_that_are_good(app: Doorward) -> None:
    run_machine(EXAMPLES, STEPS)


def run_machine(examples: int, steps: int) -> None:
    """So many lives of so many steps."""
    run_state_machine_as_test(
        Families,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # shrinking takes minutes: add Phase.shrink by hand
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
