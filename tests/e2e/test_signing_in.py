"""Signing in and the password page as a person with a browser meets them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import Watched, open_page
from tests.e2e.test_every_page import sign_in
from tests.redirects import AWAY
from tests.servers import Server

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
Demo = tuple[Server, dict[str, Any]]


def typed_away() -> list[str]:
    """What can stand in an address at all: half characters cannot."""
    return [wanted for wanted in AWAY if wanted.isascii() or wanted.encode("utf-8", "replace").decode() == wanted]


def test_nobody_is_led_away_from_here_as_the_browser_sees_it(browser: Browser, demo: Demo) -> None:
    server, people = demo
    page = open_page(browser)
    asked: list[str] = []

    def keep_here(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.context.route(lambda url: not url.startswith(server.url), keep_here)
    sign_in(page, server.url, people["users"][0])
    for wanted in typed_away():
        # One who proved lately who they are is led straight on.
        page.goto(f"{server.url}/account/reauth?next={quote(wanted, safe='')}", wait_until="commit")
        assert page.url.startswith(f"{server.url}/"), (wanted, page.url)
    assert asked == []


def test_a_person_lands_where_they_wanted_to_go_and_nowhere_else(browser: Browser, demo: Demo) -> None:
    server, people = demo
    for wanted, lands in (
        ("/account/keys", "/account/keys"),
        ("//evil.example", "/account"),
        ("/\\evil.example", "/account"),
    ):
        page = open_page(browser)
        page.goto(f"{server.url}/sign-in?next={quote(wanted, safe='')}")
        page.get_by_label("Username or e-mail").fill(people["users"][1]["username"])
        page.get_by_label("Password").fill(people["users"][1]["password"])
        page.get_by_role("main").get_by_role("button", name="Sign in").click()
        page.wait_for_url(re.compile("/account"))
        assert (urlsplit(page.url).netloc, urlsplit(page.url).path) == (urlsplit(server.url).netloc, lands)


GRADES = [
    ("kurz", "Too short"),
    ("aaaaaaaaaaaaaaaa", "Weak: easily guessed"),
    ("123456789012345", "Weak: easily guessed"),
    ("abcabcabcabcabc", "Weak: easily guessed"),
    ("lamp on shore", "Fair: a longer one is better"),
    ("quiet lanterns by the sea 42", "Strong"),
    ("\U0001f511\U0001f40c\U0001f3a9\U0001f30a" * 3, "Weak: easily guessed"),
]


def graded(page: Page, password: str) -> str:
    page.get_by_label("New password").fill(password)
    return page.locator("[data-said]").inner_text()


def test_the_strength_is_told_while_typing_and_nothing_leaves_the_page(browser: Browser, demo: Demo) -> None:
    server, people = demo
    watched = Watched(open_page(browser))
    page, who = watched.page, people["users"][0]
    sign_in(page, server.url, who)
    page.goto(f"{server.url}/account/security/password", wait_until="networkidle")
    expect(page.get_by_role("heading", level=1)).to_have_text("Change the password")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    assert not page.locator("[data-strength]").is_visible()
    told = {password: graded(page, password) for password, _ in GRADES}
    assert told == dict(GRADES)
    assert graded(page, f"{who['username']} and the lanterns at sea") == "Weak: easily guessed"
    assert watched.axe_findings() == []
    assert sent == []
    assert page.evaluate("Object.keys(localStorage).length + Object.keys(sessionStorage).length") == 0
    assert watched.complaints() == []
