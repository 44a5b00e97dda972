"""/admin/status-checks: who is late, said in words; forgetting is for those who manage clients."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from portal.core import clock
from tests.conftest import Machine
from tests.visitor import Visitor

PAGE = "/admin/status-checks"


def test_it_tells_who_is_late(person: Callable[..., Visitor], machine: Callable[..., Machine]) -> None:
    ada, gate = person("ada"), machine("status:write")
    assert "No signs of life yet" in ada.get(PAGE).text
    gate.post("/status-checks", {"client_name": "silent", "note": "<b>going down</b>"})
    clock.shift(timedelta(seconds=301))
    gate.post("/status-checks", {"client_name": "lively"})
    page = ada.get(PAGE)
    assert "1 is late" in page.text
    assert page.text.index("silent") < page.text.index("lively")
    assert ("Late" in page.text, "On time" in page.text) == (True, True)
    assert "<b>going" not in page.html
    assert "Status checks" in ada.get("/admin").text


def test_it_forgets_a_name_for_who_manages_clients(
    person: Callable[..., Visitor], machine: Callable[..., Machine]
) -> None:
    machine("status:write").post("/status-checks", {"client_name": "silent"})
    ada, max_ = person("ada"), person("max")
    assert "Forget" not in max_.get(PAGE).text
    after = ada.send(ada.get(PAGE), to=f"{PAGE}/forget")
    assert "Nobody waits for silent any more" in after.text
    assert "No signs of life yet" in after.text
