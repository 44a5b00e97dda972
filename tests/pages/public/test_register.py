"""/register and /confirm."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.pages.public.conftest import path_in
from tests.people import PASSWORD, make_account
from tests.visitor import SeenPage, Visitor

Letters = Callable[[], list[tuple[str, str]]]
CONFIRMING = {"confirm_email": True, "smtp_url": "console"}
TYPED = {"username": "nina", "email": "nina@example.org", "password": PASSWORD}


def register(visitor: Visitor, **typed: str) -> SeenPage:
    """Fill the form."""
    return visitor.send(visitor.get("/register"), {**TYPED, **typed})


def test_whoever_registers_is_in_at_once(visitor: Visitor) -> None:
    page = register(visitor, time_zone="Asia/Tokyo")
    assert page.path == "/account"
    assert "Asia/Tokyo" in visitor.get("/account").text
    assert visitor.get("/register").path == "/account"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "bob"),
        ("username", "BOB"),
        ("username", "a@b"),
        ("username", "ab"),
        ("email", "bob@example.org"),
        ("email", "BOB@EXAMPLE.ORG"),
        ("email", "two@at@example.org"),
        ("password", "short"),
        ("password", "nina nina nina"),
        ("time_zone", "Mars/Olympus"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(field: str, value: str, visitor: Visitor) -> None:
    make_account("bob")
    page = register(visitor, **{field: value})
    assert page.status == 422
    assert page.code(f"{field}-error")
    assert page.code("password") == ""  # never sent back
    if field != "password":
        assert PASSWORD not in page.html


@pytest.mark.parametrize("setting", [{"registration": "closed"}, {"registration": "invite"}])
def test_nobody_registers_where_it_is_not_open(visitor: Visitor) -> None:
    assert visitor.get("/register").forms() == []
    token = visitor.get("/forgotten").forms()[0].find(".//input[@name='csrf_token']")
    assert token is not None
    assert visitor.post("/register", {**TYPED, "csrf_token": token.get("value")}).status in {404, 422}
    assert visitor.sign_in("nina").status == 422


@pytest.mark.parametrize("setting", [CONFIRMING])
def test_with_confirmation_the_mailed_link_opens_the_door(visitor: Visitor, letters: Letters) -> None:
    assert register(visitor).path == "/register"
    assert visitor.sign_in("nina").status == 422
    ((address, text),) = letters()
    assert address == "nina@example.org"
    path = path_in(text, "confirm")
    button = visitor.get(path)
    assert visitor.sign_in("nina").status == 422  # a look confirms nothing
    visitor.send(button)
    assert visitor.get(path).status == 404
    assert visitor.sign_in("nina").path == "/account"


@pytest.mark.parametrize("setting", [CONFIRMING])
def test_with_confirmation_a_known_address_gets_the_same_answer(visitor: Visitor, letters: Letters) -> None:
    make_account("bob")
    known = register(visitor, email="bob@example.org")
    unknown = register(visitor, username="other", email="bab@example.org")
    assert known.status == unknown.status == 200
    assert known.text.replace("bob@", "bab@") == unknown.text
    told = dict(letters())
    assert "/confirm/" in told["bab@example.org"]
    assert "/confirm/" not in told["bob@example.org"]
