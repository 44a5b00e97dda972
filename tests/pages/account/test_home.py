"""/account: today at a glance."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select

from portal.core import clock
from portal.core.database import db, transaction
from portal.keys.models import ApiKey
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


def test_keys_that_end_soon_stand_first_and_dead_ones_not_at_all(
    browser: Callable[[str], Visitor], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice")
    ends = {"gone": -1, "soon": 3, "later": 300}
    for name in ("soon", "gone", "later", "lasting"):
        key_of(alice, name)
    with transaction():
        for key in db.session.scalars(select(ApiKey)):
            key.expires_at = clock.now() + timedelta(days=ends[key.name]) if key.name in ends else None
    text = browser("alice").get("/account").text
    assert "3 keys are active." in text
    assert "Ends soon Ends in 3 days" in text
    assert text.index("soon dw_") < text.index("lasting dw_")
    assert "gone dw_" not in text
