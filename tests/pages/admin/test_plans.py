"""/admin/plans."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.visitor import Visitor

Person = Callable[..., Visitor]
Browser = Callable[[str], Visitor]
NEW = "/admin/plans/new"


def test_a_new_plan_stands_in_the_list_and_can_be_given(person: Person) -> None:
    ada = person("ada")
    listed = ada.send(ada.get(NEW), {"name": "trial", "daily_limit": "1500", "key_count": "1"})
    assert listed.path == "/admin/plans"
    assert "trial" in listed.text
    assert "1,500" in listed.text


@pytest.mark.parametrize("wrong", [{"name": "free"}, {"name": "Not This"}, {"daily_limit": "-1"}, {"key_count": ""}])
def test_nonsense_is_told_beside_its_field(wrong: dict[str, str], person: Person) -> None:
    ada = person("ada")
    page = ada.send(ada.get(NEW), {"name": "trial", **wrong})
    assert page.status == 422
    assert page.code(f"{next(iter(wrong))}-error")


def test_a_plan_changed_meanwhile_is_told_and_not_overwritten(person: Person, browser: Browser) -> None:
    ada = person("ada")
    address = next(link for link in ada.get("/admin/plans").links() if link.startswith("/admin/plans/") and link != NEW)
    other = browser("ada")
    old = ada.get(address)
    assert other.send(other.get(address), {"daily_limit": "7"}).path == "/admin/plans"
    told = ada.send(old, {"daily_limit": "9"})
    assert told.status == 422
    assert "Someone else changed this plan" in told.text
    assert ada.get(address).code("daily_limit") == "7"
