"""Whatever happens in whatever order, no refresh token is good twice and none after the end of its family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.machines import run_machine
from tests.tokens.machine import Families

if TYPE_CHECKING:
    from portal.web.frame import Doorward

EXAMPLES, STEPS = 6, 15  # on each database


def test_never_two_that_are_good(app: Doorward) -> None:
    run_machine(Families, EXAMPLES, STEPS)
