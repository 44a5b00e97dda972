"""The state machine of refresh tokens for 20,000 steps on each database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.machines import run_machine
from tests.tokens.machine import Families

if TYPE_CHECKING:
    from portal.web.frame import Doorward

EXAMPLES, STEPS = 400, 50  # on each database


def test_never_two_that_are_good(app: Doorward) -> None:
    run_machine(Families, EXAMPLES, STEPS)
