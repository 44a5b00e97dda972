"""/account/profile."""

from __future__ import annotations

from collections.abc import Callable

from tests.visitor import Visitor

ADDRESS = "/account/profile"


def test_name_and_zone_are_changed_and_shown(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    saved = alice.send(alice.get(ADDRESS), {"display_name": "Alice É.", "time_zone": "Asia/Tokyo"})
    assert "Saved." in saved.text
    assert saved.title == "Alice É."
    assert "Asia/Tokyo" in alice.get("/account").text.replace("_", " ")


def test_nonsense_is_told_and_nothing_is_changed(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    for wrong in ({"time_zone": "Mars/Olympus"}, {"display_name": "x" * 81}, {"display_name": "a\u202eb"}):
        page = alice.send(alice.get(ADDRESS), wrong)
        assert page.status == 422, wrong
        assert page.code(f"{next(iter(wrong))}-error")
    assert alice.get(ADDRESS).title == "Alice"


def test_nothing_else_can_be_sent_along(person: Callable[..., Visitor]) -> None:
    alice = person("alice")
    alice.send(alice.get(ADDRESS), {"username": "root", "plan_id": "1", "kind": "admin", "state": "deleted"})
    assert alice.get("/admin").status == 404
    assert "root" not in alice.get(ADDRESS).text


def test_staff_and_admins_have_a_profile_and_no_keys(person: Callable[..., Visitor]) -> None:
    tess = person("tess")
    assert tess.get("/account").path == ADDRESS
    assert "/account/keys" not in tess.get(ADDRESS).links()
