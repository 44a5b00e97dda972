"""POST /theme."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.visitor import Visitor


def test_a_chosen_theme_holds_from_the_next_page_on(person: Callable[..., Visitor]) -> None:
    visitor = person("alice")
    page = visitor.get("/account")
    assert page.tree.get("data-theme") == "system"
    for chosen in ("dark", "light"):
        visitor.send(page, {"theme": chosen}, to="/theme")
        assert visitor.get("/forgotten").tree.get("data-bs-theme") == chosen
    visitor.send(page, {"theme": "system"}, to="/theme")
    assert visitor.get("/forgotten").tree.get("data-theme") == "system"


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_one_goes_back_to_this_site_only(wanted: str, person: Callable[..., Visitor]) -> None:
    visitor = person("alice")
    back = visitor.send(visitor.get("/account"), {"theme": "dark", "next": wanted}, to="/theme", follow=False)
    assert back.response.location == "/"


def test_a_theme_nobody_has_is_not_shown(visitor: Visitor) -> None:
    visitor.client.set_cookie("theme", '"><script>')
    assert visitor.get("/forgotten").tree.get("data-theme") == "system"
