"""However odd a push is: a problem, or one result a record; and each accepted record is stored once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Machine
from tests.messages.pushing import BODIES, KINDS, Ledger


@pytest.fixture
def ledger(gate: Machine) -> Ledger:
    """Nothing is accepted yet."""
    return Ledger(gate)


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BODIES, st.sampled_from(KINDS), st.booleans())
def test_any_push_is_told_record_by_record_and_kept_once(
    ledger: Ledger, body: Any, kind: str, ascii_only: bool
) -> None:
    ledger.push(body, kind, ascii_only)


def test_the_odd_ones_among_good_ones(ledger: Ledger) -> None:
    """So that the promise is held against accepted records whatever is drawn."""
    good = {"username": "alice", "prompt": "x"}
    for kind in KINDS:
        ledger.push(
            {"records": [{**good, "id": kind}, good, {**good, "id": kind}, 5, {**good, "id": "\ud800"}]}, kind, True
        )
    assert len(ledger.accepted) == 2 * len(KINDS)
