"""/account/usage: what was used, why a call was refused, and the choice of warnings."""

from __future__ import annotations

from collections.abc import Callable

from tests.visitor import Visitor


def test_smoke(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    page = alice.get("/account/usage")
    assert page.status == 200
    assert alice.get("/account").status == 200
    assert alice.get("/account/usage/ledger").status == 200
    assert alice.get("/account/usage/refusals").status == 200
