"""/account: today at a glance."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Machine
from tests.people import make_account
from tests.visitor import Visitor


def test_home_tells_what_is_used_and_left_today(
    browser: Callable[[str], Visitor], machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice", time_zone="Europe/Berlin", daily_limit_override=10)
    gate, key = machine(), key_of(alice)
    for _ in range(3):
        gate.post("/keys/verify", {"key": key})
    page = browser("alice").get("/account")
    bars = [(bar.get("value"), bar.get("max")) for bar in page.tree.iter("progress")]
    assert ("3", "10") in bars or "3 of 10" in page.text
    assert "Europe/Berlin" in page.text
    days = browser("alice").get("/account/days.json").response.get_json()
    assert (len(days["x"]), days["series"][0]["values"][-1]) == (30, 3)
