"""The search box suggests while somebody types, and goes with the keyboard alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import PHONE, open_page
from tests.servers import Server
from tools.screens import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_typing_suggests_and_enter_opens(browser: Browser, demo: tuple[Server, dict[str, Any]]) -> None:
    server, made = demo
    user = made["users"][3]
    page, asked = open_page(browser, viewport=PHONE, reduced_motion="no-preference"), []
    page.on("request", lambda request: asked.append(request.url))
    sign_in(page, server.url, made["staff"][0])
    box = page.get_by_role("combobox")
    box.fill(user["username"])
    option = page.get_by_role("option").filter(has_text=user["username"]).first
    expect(option).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    box.press("Escape")
    expect(option).to_be_hidden()
    expect(box).to_have_attribute("aria-expanded", "false")
    box.fill(user["api_key"])
    expect(option).to_be_visible()
    box.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    box.press("Enter")
    page.wait_for_url(re.compile(f"/staff/users/{user['id']}$"))
    page.goto(f"{server.url}/staff")
    page.get_by_role("combobox").fill(user["api_key"])
    page.get_by_role("combobox").press("Enter")
    page.wait_for_url(re.compile(f"/staff/users/{user['id']}$"))
    # Of a whole key only the start that is shown everywhere left the browser.
    assert not [url for url in asked if user["api_key"] in url]
