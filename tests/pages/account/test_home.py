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
    words = [" ".join(part.itertext()) for part in page.tree.iter("div") if part.get("class") == "ring-words"]
    assert [" ".join(word.split()) for word in words] == ["7 left of 10"]
    assert "Europe/Berlin" in page.text
    days = browser("alice").get("/account/days.json").response.get_json()
    assert (len(days["x"]), days["series"][0]["values"][-1]) == (30, 3)
