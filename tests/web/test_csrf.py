"""Every form wants the token of its own session."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.people import PASSWORD
from tests.visitor import SeenPage, Visitor

Person = Callable[..., Visitor]


def token_on(page: SeenPage) -> str:
    """The token in the first form of the page."""
    return next(field.get("value") or "" for field in page.tree.iter("input") if field.get("name") == "csrf_token")


@pytest.mark.parametrize("token", [None, "", "nonsense", "e30.aaaa.bbbb"])
def test_without_a_good_token_nothing_is_changed(token: str | None, person: Person) -> None:
    alice = person("alice")
    data = {"display_name": "Mallory", **({} if token is None else {"csrf_token": token})}
    page = alice.post("/account/profile", data)
    assert page.status == 400
    assert "reload the page" in page.text
    assert alice.get("/account/profile").title == "Alice"


def test_the_token_of_another_session_is_no_good(person: Person) -> None:
    alice, bob = person("alice"), person("bob")
    stolen = token_on(bob.get("/account/profile"))
    assert alice.post("/account/profile", {"csrf_token": stolen, "display_name": "x"}).status == 400


def test_a_token_from_before_signing_in_dies_with_it(person: Person, visitor: Visitor) -> None:
    person("alice")
    door = visitor.get("/sign-in")
    visitor.send(door, {"name": "alice", "password": PASSWORD})
    assert visitor.post("/account/profile", {"csrf_token": token_on(door), "display_name": "x"}).status == 400


def test_signing_in_wants_a_token_too(person: Person, visitor: Visitor) -> None:
    person("alice")
    assert visitor.post("/sign-in", {"name": "alice", "password": PASSWORD}).status == 400
    assert visitor.get("/account").path == "/sign-in"
