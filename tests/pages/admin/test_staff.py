"""/admin/staff: invite, level, suspend, reactivate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from portal.core import clock
from tests.people import PASSWORD, make_account
from tests.visitor import Visitor

Person = Callable[..., Visitor]
Browser = Callable[[str], Visitor]


def test_an_invited_staff_member_lands_at_the_desk(person: Person, visitor: Visitor) -> None:
    ada = person("ada")
    made = ada.send(ada.get("/admin/staff/new"), {"username": "nora", "email": "nora@example.org", "level": "2"})
    path = "/invitation/" + made.code("invitation-link").rpartition("/")[2]
    short = "twelve chars"  # enough for a user, not for staff
    assert visitor.send(visitor.get(path), {"password": short, "again": short}).status == 422
    visitor.send(visitor.get(path), {"password": PASSWORD, "again": PASSWORD})
    desk = visitor.sign_in("nora")
    assert desk.path == "/staff"
    assert "level 2" in desk.text


def test_another_level_holds_from_the_next_request(person: Person) -> None:
    tess, ada = person("tess"), person("ada")
    address = next(link for link in ada.get("/admin/staff").links() if link.startswith("/admin/staff/0"))
    assert "level 1" in tess.get("/staff").text
    assert ada.send(ada.get(address), {"level": "3"}, to=address).status == 200
    assert tess.get("/staff").path == "/sign-in", "a session of the former level is none of this one"
    assert "level 3" in tess.sign_in("tess").text
    assert ada.send(ada.get(address), {"level": "4"}, to=address).status == 422


def test_a_suspended_staff_member_is_out_until_reactivated(person: Person, browser: Browser) -> None:
    member = make_account("tess")
    tess, ada = browser("tess"), person("ada")
    address = f"/admin/staff/{member.id}"
    assert ada.send(ada.get(address), {"reason": ""}, to=f"{address}/suspend").status == 422
    ada.send(ada.get(address), {"reason": "left us"}, to=f"{address}/suspend")
    assert tess.get("/staff").path == "/sign-in"
    assert ada.send(ada.get(address), {"reason": ""}, to=f"{address}/reactivate").status == 422
    ada.send(ada.get(address), {"reason": "came back"}, to=f"{address}/reactivate")
    assert tess.sign_in("tess").path == "/staff"


def test_a_fresh_invitation_wants_the_proof_that_inviting_wants(person: Person) -> None:
    """Without mail its link is shown: whoever sits there would make an account of staff of their own."""
    ada = person("ada")
    ada.send(ada.get("/admin/staff/new"), {"username": "nora", "email": "nora@example.org", "level": "2"})
    address = next(link for link in ada.get("/admin/staff").links() if link.startswith("/admin/staff/0"))
    assert "/invitation/" in ada.send(ada.get(address), to=f"{address}/invite").html
    clock.shift(timedelta(minutes=11))
    page = ada.send(ada.get(address), to=f"{address}/invite")
    assert page.path == "/account/reauth"
    assert "/invitation/" not in page.html
