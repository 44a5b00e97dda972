"""The state machine of second factors for 20,000 steps on each database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.machines import run_machine
from tests.signin.machine import SecondFactors

if TYPE_CHECKING:
    from portal.web.frame import Doorward

EXAMPLES, STEPS = 250, 80  # on each database


def test_never_a_session_without_the_factor(app: Doorward) -> None:
    run_machine(SecondFactors, EXAMPLES, STEPS)
