"""/admin/users: find, invite, edit, suspend, delete, as an admin does it with a browser."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from portal.core import clock
from tests.conftest import Machine
from tests.people import PASSWORD, make_account
from tests.visitor import SeenPage, Visitor

Person = Callable[..., Visitor]
Browser = Callable[[str], Visitor]


def names_on(page: SeenPage) -> list[str]:
    """The usernames on a list, in order, from the links of its rows."""
    table = next(page.tree.iter("tbody"))
    return ["".join(link.itertext()).strip().lower() for link in table.iter("a")]


def follow(visitor: Visitor, page: SeenPage, rel: str) -> SeenPage:
    """Go through a link of the pager."""
    return visitor.get(next(link.get("href") or "" for link in page.tree.iter("a") if link.get("rel") == rel))


def test_the_list_is_paged_by_links_without_loss_or_repeat(person: Person) -> None:
    for number in range(120):
        make_account(f"user{number:03}")
    ada = person("ada")
    first = ada.get("/admin/users?sort=username")
    second = follow(ada, first, "next")
    third = follow(ada, second, "next")
    seen = names_on(first) + names_on(second) + names_on(third)
    assert seen == [f"user{number:03}" for number in range(120)]
    assert names_on(follow(ada, third, "prev")) == names_on(second)
    assert "120 in all" in third.text


def test_search_filters_and_sort_narrow_the_list_together(person: Person) -> None:
    make_account("mira", created_at=clock.now() - timedelta(days=2))
    make_account("miro", state="suspended")
    make_account("bob")
    ada = person("ada")
    assert names_on(ada.get("/admin/users?q=mir&sort=-username")) == ["miro", "mira"]
    assert names_on(ada.get("/admin/users?q=mir&sort=created")) == ["mira", "miro"]
    assert names_on(ada.get("/admin/users?q=mir&state=suspended")) == ["miro"]
    assert names_on(ada.get("/admin/users?q=BOB%40example.org")) == ["bob"]
    assert "No user matches" in ada.get("/admin/users?q=nobody-here").text


@pytest.mark.parametrize("query", ["q=%25", "q=%00", "q=%27%22*", "sort=password_hash", "state=gone", "plan=7"])
def test_odd_filters_are_no_fault(query: str, person: Person) -> None:
    assert person("ada").get(f"/admin/users?{query}").status == 200


def test_a_tampered_place_in_the_list_is_told_as_such(person: Person) -> None:
    assert person("ada").get("/admin/users?cursor=eyJ0IjoxfQ").status == 400


def test_an_invited_user_sets_a_password_and_comes_in(person: Person, visitor: Visitor) -> None:
    ada = person("ada")
    form = ada.get("/admin/users/new")
    made = ada.send(form, {"username": "nina", "email": "nina@example.org", "time_zone": "Asia/Tokyo"})
    assert made.status == 201
    link = made.code("invitation-link")
    path = "/invitation/" + link.rpartition("/")[2]
    page = visitor.get(path)
    assert visitor.get(path).status == 200  # a look spends nothing
    assert "sign-in" in visitor.send(page, {"password": PASSWORD, "again": PASSWORD}).path
    assert visitor.get(path).status == 404
    assert visitor.sign_in("nina").path == "/account"


def test_inviting_again_kills_the_earlier_link(person: Person, visitor: Visitor) -> None:
    ivy = make_account("ivy", state="invited", password_hash=None)
    ada = person("ada")
    record = f"/admin/users/{ivy.id}"
    links = [ada.send(ada.get(record), to=f"{record}/invite").code("invitation-link") for _ in range(2)]
    paths = ["/invitation/" + link.rpartition("/")[2] for link in links]
    assert [visitor.get(path).status for path in paths] == [404, 200]


def test_a_taken_name_is_told_beside_the_field_and_what_was_typed_stays(person: Person) -> None:
    make_account("bob")
    ada = person("ada")
    typed = {"username": "BOB", "email": "other@example.org", "display_name": "Bobby"}
    page = ada.send(ada.get("/admin/users/new"), typed)
    assert page.status == 422
    assert page.code("username-error")
    assert page.code("display_name") == "Bobby"


def test_an_edit_of_a_stale_record_is_told_and_nothing_is_lost(person: Person, browser: Browser) -> None:
    bob = make_account("bob")
    address = f"/admin/users/{bob.id}/edit"
    ada = person("ada")
    other = browser("ada")
    old = ada.get(address)
    assert other.send(other.get(address), {"display_name": "First"}).path == f"/admin/users/{bob.id}"
    told = ada.send(old, {"display_name": "Second"})
    assert told.status == 422
    assert "Someone else changed this record" in told.text
    assert told.code("display_name") == "Second"
    assert ada.send(told, {"display_name": "Second"}).status == 422  # not by sending it twice
    assert ada.get(address).code("display_name") == "First"


def test_an_own_daily_limit_holds_at_once(
    person: Person, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    bob = make_account("bob")
    key = key_of(bob)
    ada = person("ada")
    address = f"/admin/users/{bob.id}/edit"
    assert ada.send(ada.get(address), {"daily_limit_override": "-1"}).status == 422
    assert ada.send(ada.get(address), {"daily_limit_override": "1"}).status == 200
    gate = machine()
    codes = [gate.post("/keys/verify", {"key": key}).get_json()["code"] for _ in range(2)]
    assert codes == ["VALID", "DAILY_LIMIT_REACHED"]


def test_a_suspended_user_is_out_at_once_and_back_after_reactivating(
    person: Person, browser: Browser, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    bob = make_account("bob")
    bobs, gate, key, ada = browser("bob"), machine(), key_of(bob), person("ada")
    address = f"/admin/users/{bob.id}"

    def door() -> tuple[str, str]:
        return bobs.get("/account").path, gate.post("/keys/verify", {"key": key}).get_json()["code"]

    assert ada.send(ada.get(address), {"suspend-reason": ""}, to=f"{address}/suspend").status == 422
    assert door() == ("/account", "VALID")
    ada.send(ada.get(address), {"suspend-reason": "abuse"}, to=f"{address}/suspend")
    assert door() == ("/sign-in", "ACCOUNT_SUSPENDED")
    assert "suspended" in bobs.sign_in("bob").text
    back = ada.get(f"/admin/acts/{bob.id}/reactivate")
    assert "1 API key works again." in back.text
    assert ada.send(back, {"reason": ""}).status == 422
    ada.send(back, {"reason": "no abuse"})
    assert door() == ("/sign-in", "VALID")  # the old cookie stays dead
    assert bobs.sign_in("bob").path == "/account"


def test_a_reset_link_is_shown_once_and_ends_every_session(person: Person, browser: Browser) -> None:
    bob = make_account("bob")
    bobs, stranger, ada = browser("bob"), browser("nobody"), person("ada")
    link = ada.send(ada.get(f"/admin/acts/{bob.id}/reset-password"), {"reason": "asked"}).code("reset-link")
    page = stranger.get("/reset/" + link.rpartition("/")[2])
    fresh = "nine loud trumpets 77"
    stranger.send(page, {"password": fresh, "again": fresh})
    assert bobs.get("/account").path == "/sign-in"
    assert stranger.sign_in("bob").status == 422
    assert stranger.sign_in("bob", fresh).path == "/account"


def test_deleting_needs_the_name_and_can_be_undone(person: Person, browser: Browser) -> None:
    bob = make_account("bob")
    ada = person("ada")
    address, to = f"/admin/users/{bob.id}", f"/admin/users/{bob.id}/delete"
    wrong = ada.send(ada.get(address), {"delete-reason": "gone", "delete-username": "bib"}, to=to)
    assert wrong.status == 422
    listed = ada.send(ada.get(address), {"delete-reason": "gone", "delete-username": "bob"}, to=to)
    assert listed.path == "/admin/deleted"
    assert "gone" in listed.text
    assert ada.get(address).status == 404
    assert browser("nobody").sign_in("bob").status == 422
    preview = ada.get(f"/admin/deleted/{bob.id}/restore")
    assert ada.send(preview, {"reason": " "}).status == 422
    assert ada.send(preview, {"reason": "A mistake."}).path == address
    assert browser("bob").get("/account").status == 200
