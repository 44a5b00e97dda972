"""The state machine of refresh tokens for 20,000 steps on each database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.tokens.test_machine import run_machine

if TYPE_CHECKING:
    from portal.web.frame import Doorward

EXAMPLES, STEPS = 400, 50  # on each database


def test_never_two_that_are_good(app: Doorward) -> None:
    run_machine(EXAMPLES, STEPS)
