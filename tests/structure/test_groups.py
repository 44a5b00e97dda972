"""Tests that may not run at the same time are handed to one worker."""

from __future__ import annotations

import os

import pytest

GROUP = "one after the other"


@pytest.mark.xdist_group(GROUP)
def test_a_group_of_tests_stays_together(request: pytest.FixtureRequest) -> None:
    """What hands out the tests knows groups by names alone; where those are lost it forgets them, and says nothing."""
    spread = "PYTEST_XDIST_WORKER" in os.environ and request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith(f"@{GROUP}") == bool(spread)
