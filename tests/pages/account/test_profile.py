"""/account/profile."""

from __future__ import annotations

from collections.abc import Callable

from tests.moments import stand_at
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


def test_the_page_says_what_a_change_of_zone_does_before_and_after(person: Callable[..., Visitor]) -> None:
    stand_at("2026-06-01T14:00:00+02:00")
    alice = person("alice", time_zone="Europe/Berlin")
    page = alice.get(ADDRESS)
    assert "Your day of today ends 2 Jun 2026, 00:00 (Europe/Berlin)." in page.text
    saved = alice.send(page, {"time_zone": "Asia/Tokyo"})
    assert "Saved. Your day of today goes on until 3 Jun 2026, 00:00 (Asia/Tokyo)." in saved.text
    assert "so your day of today goes on until 3 Jun 2026, 00:00 (Asia/Tokyo)" in saved.text
    assert "again from 8 Jun 2026, 21:00 (Asia/Tokyo) on." in saved.text
    stand_at("2026-06-04T14:00:00+02:00")
    assert "goes on until" not in alice.get(ADDRESS).text


def test_a_second_change_within_seven_days_is_told_beside_the_field(person: Callable[..., Visitor]) -> None:
    alice = person("alice", time_zone="Europe/Berlin")
    alice.send(alice.get(ADDRESS), {"time_zone": "Asia/Tokyo"})
    page = alice.send(alice.get(ADDRESS), {"time_zone": "Europe/Berlin", "display_name": "Ally"})
    assert page.status == 422
    assert "once in seven days" in page.code("time_zone-error")
    assert alice.get(ADDRESS).title == "Alice"
    assert "Saved." in alice.send(alice.get(ADDRESS), {"display_name": "Ally"}).text
    assert alice.get(ADDRESS).title == "Ally"


def test_staff_hear_nothing_of_days(person: Callable[..., Visitor]) -> None:
    tess = person("tess")
    assert "once in seven days" not in tess.get(ADDRESS).text
    for zone in ("Asia/Tokyo", "Europe/Berlin"):
        assert "Saved." in tess.send(tess.get(ADDRESS), {"time_zone": zone}).text
