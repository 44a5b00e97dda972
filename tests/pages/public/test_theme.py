"""POST /theme."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portal.web.frame import Doorward
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


@pytest.mark.parametrize("setting", [{"site_url": "https://desk.example.org"}])
def test_over_https_the_cookie_is_bound_to_the_host(app: Doorward) -> None:
    visitor = Visitor(app.test_client())
    there = "https://desk.example.org"
    page = visitor.get("/sign-in", base_url=there)
    token = next(field.get("value") for field in page.tree.iter("input") if field.get("name") == "csrf_token")
    for chosen in ("dark", "system"):
        data = {"csrf_token": token, "theme": chosen}
        kept = visitor.client.post("/theme", data=data, base_url=there).headers["Set-Cookie"]
        assert kept.startswith("__Host-theme=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(kept.split("; "))
        if chosen == "dark":
            assert visitor.get("/sign-in", base_url=there).tree.get("data-bs-theme") == "dark"
