"""/account/keys: made once, shown once, renamed, revoked."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Machine
from tests.people import make_account
from tests.visitor import SeenPage, Visitor

Person = Callable[..., Visitor]
NEW = "/account/keys/new"


def make(visitor: Visitor, name: str = "laptop") -> SeenPage:
    """Make a key through the form."""
    return visitor.send(visitor.get(NEW), {"name": name})


def key_page(visitor: Visitor) -> str:
    """The address of the first key in the list."""
    return next(
        link for link in visitor.get("/account/keys").links() if link.startswith("/account/keys/") and link != NEW
    )


def test_a_key_is_shown_once_and_works(person: Person, machine: Callable[..., Machine]) -> None:
    alice = person("alice")
    made = make(alice)
    assert made.status == 201
    secret = made.code("new-key")
    assert secret in made.code("verify-line")
    assert machine().post("/keys/verify", {"key": secret}).get_json()["valid"]
    listed = alice.get("/account/keys")
    assert secret[:10] in listed.text
    assert secret not in listed.html + alice.get(key_page(alice)).html + alice.get("/account").html


def test_a_key_is_renamed(person: Person) -> None:
    alice = person("alice")
    make(alice)
    address = key_page(alice)
    assert alice.send(alice.get(address), {"name": "<b>night & day</b>"}, to=address).title.startswith("<b>night & day")
    assert alice.send(alice.get(address), {"name": " "}, to=address).status == 422
    assert alice.send(alice.get(address), {"name": "n" * 61}, to=address).status == 422


def test_a_revoked_key_is_refused_and_twice_is_as_good_as_once(person: Person, machine: Callable[..., Machine]) -> None:
    alice = person("alice")
    secret = make(alice).code("new-key")
    ask = f"{key_page(alice)}/revoke"
    page = alice.get(ask)
    assert alice.send(page, to=ask).path == "/account/keys"
    assert machine().post("/keys/verify", {"key": secret}).get_json()["code"] == "KEY_REVOKED"
    assert alice.send(page, to=ask).status == 200
    assert "was revoked" in alice.get(ask).text


def test_the_plan_says_how_many_keys_and_a_revoked_one_makes_room(person: Person) -> None:
    alice = person("alice")
    statuses = [make(alice, f"key {number}").status for number in range(30)]
    most = statuses.count(201)
    assert statuses == [201] * most + [422] * (30 - most)
    refused = make(alice)
    assert f"allows {most} keys" in refused.text
    ask = f"{key_page(alice)}/revoke"
    alice.send(alice.get(ask), to=ask)
    assert make(alice).status == 201


def test_a_revoked_key_of_another_user_is_none_of_mine(person: Person, key_of: Callable[..., str]) -> None:
    secret = key_of(make_account("bob"))
    assert secret[:10] not in person("alice").get("/account/keys").html
