"""/admin/admins: invite, and permissions that nobody can grant without holding them."""

from __future__ import annotations

from collections.abc import Callable

from tests.people import PASSWORD, make_account
from tests.visitor import Visitor

Person = Callable[..., Visitor]
Browser = Callable[[str], Visitor]


def test_an_invited_admin_may_what_was_granted_and_no_more(person: Person, visitor: Visitor) -> None:
    ada = person("ada")
    typed = {"username": "nora", "email": "nora@example.org", "permissions": ["users.read", "jobs.run"]}
    made = ada.send(ada.get("/admin/admins/new"), typed)
    path = "/invitation/" + made.code("invitation-link").rpartition("/")[2]
    visitor.send(visitor.get(path), {"password": PASSWORD, "again": PASSWORD})
    assert visitor.sign_in("nora").path == "/admin"
    statuses = {at: visitor.get(f"/admin/{at}").status for at in ("users", "jobs", "plans/new", "users/new", "admins")}
    assert statuses == {"users": 200, "jobs": 200, "plans/new": 403, "users/new": 403, "admins": 403}


def test_permissions_hold_from_the_next_request(person: Person) -> None:
    other = make_account("max")
    ada = person("ada")
    address = f"/admin/admins/{other.id}"
    assert "jobs.run" in ada.send(ada.get(address), {"permissions": ["jobs.run"]}).text
    ada.send(ada.get(address), {"permissions": []})
    assert "none" in ada.get(address).text


def test_nobody_grants_what_they_lack(person: Person, browser: Browser) -> None:
    other = make_account("max")
    nora = person("nora", permissions=["admins.manage", "jobs.run"])
    page = nora.send(
        nora.get("/admin/admins/new"), {"username": "ned", "email": "n@e.org", "permissions": "users.read"}
    )
    assert page.status == 422
    assert "cannot grant what you do not hold" in page.text
    address = f"/admin/admins/{other.id}"
    assert nora.send(nora.get(address), {"permissions": ["users.read"]}).status == 422
    assert browser("max").get("/admin/users").status == 403


def test_the_last_full_admin_keeps_every_permission(person: Person) -> None:
    full = make_account("abe", permissions=[])
    ada_account = make_account("ada")
    nora = person("nora", permissions=["admins.manage", "users.write"])
    address = f"/admin/admins/{ada_account.id}"
    page = nora.send(nora.get(address), {"permissions": []})
    assert page.status == 422
    assert "rank" in page.text
    assert "All (full admin)" in nora.get(address).text
    assert "none" in nora.get(f"/admin/admins/{full.id}").text


def test_one_of_two_full_admins_can_be_lowered_and_then_nobody_lowers_the_last(
    person: Person, browser: Browser
) -> None:
    everything = list(make_account("ada").permissions)  # type: ignore[attr-defined]  # an admin
    abe = make_account("abe", permissions=everything)
    ada = browser("ada")
    assert ada.send(ada.get(f"/admin/admins/{abe.id}"), {"permissions": ["jobs.run"]}).status == 200
    abes = browser("abe")
    assert abes.get("/admin/jobs").status == 200
    assert abes.get("/admin/admins").status == 403


def test_nobody_changes_the_own_permissions(person: Person) -> None:
    ada = person("ada")
    address = next(link for link in ada.get("/admin/admins").links() if link.startswith("/admin/admins/0"))
    own = ada.get(address)
    assert "Another admin has to change its permissions" in own.text
    token = ada.get("/admin/admins/new").form_to("/admin/admins/new")
    secret = next(field.get("value") for field in token.iter("input") if field.get("name") == "csrf_token")
    assert ada.post(address, {"csrf_token": secret, "permissions": "jobs.run"}).status == 422
    assert ada.get("/admin/users").status == 200
