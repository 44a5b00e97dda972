"""However odd a push is, thousands of times: a problem, or one result a record; accepted records are stored once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Machine
from tests.messages.pushing import BODIES, KINDS, Ledger
from tests.people import make_account


def test_any_of_thousands_of_pushes_is_kept_once(machine: Callable[..., Machine]) -> None:
    make_account("alice")
    ledger = Ledger(machine())

    @settings(max_examples=2_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(BODIES, st.sampled_from(KINDS), st.booleans())
    def push(body: Any, kind: str, ascii_only: bool) -> None:
        ledger.push(body, kind, ascii_only)

    push()
    assert len(ledger.accepted) > 100
