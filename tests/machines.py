"""Running a state machine of hypothesis: so many lives of so many random steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

if TYPE_CHECKING:
    from hypothesis.stateful import RuleBasedStateMachine


def run_machine(machine: type[RuleBasedStateMachine], lives: int, steps: int) -> None:
    """Run it; what fails is printed with the line that repeats it, not made smaller."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=lives,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # shrinking takes minutes: add Phase.shrink by hand
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
