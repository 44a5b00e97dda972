"""The page of the API's document: drawn under the strict policy, light and dark, tried out; a list without script."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import PHONE, Watched, open_page
from tests.servers import Server

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
# Of Swagger UI's own markup: a landmark in a landmark, levels of headings, a button beside the copy button's frame.
NOT_OURS = ("heading-order", "landmark", "nested-interactive")


def test_the_document_is_drawn_and_tried(browser: Browser, demo: tuple[Server, dict[str, Any]]) -> None:
    server, people = demo
    watched = Watched(open_page(browser))
    page = watched.page
    page.goto(f"{server.url}/api/docs")
    page.get_by_role("button", name="Authorize", exact=True).click()
    page.locator(".auth-container").filter(has_text="clientToken").locator("input").first.fill(
        people["client"]["token"]
    )
    page.locator(".auth-container").filter(has_text="clientToken").get_by_role("button", name="Apply").click()
    page.get_by_role("button", name="Close", exact=True).first.click()
    operation = page.locator(".opblock-post").filter(has_text="/api/v1/status-checks")
    operation.locator(".opblock-summary-control").click()
    for theme in ("light", "dark"):
        watched.follow_system(theme)
        found = watched.axe_findings() if theme == "light" else watched.axe_findings(only_colours=True)
        assert [one for one in found if not one.startswith(NOT_OURS)] == []
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response .response-col_status")).to_contain_text("201")
    # Hints of the browser about fields for passwords are its own thing; a breach of the policy is an error.
    assert [line for line in watched.complaints() if not line.startswith("verbose: ")] == []
    page.set_viewport_size(PHONE)
    assert not watched.scrolls_sideways()


def test_without_script_there_is_a_list(browser: Browser, demo: tuple[Server, dict[str, Any]]) -> None:
    page = open_page(browser, java_script_enabled=False)
    page.goto(f"{demo[0].url}/api/docs")
    expect(page.get_by_text("POST /api/v1/keys/verify", exact=True)).to_be_visible()
    page.get_by_role("link", name="Errors").click()
    expect(page.locator("#NOT_FOUND")).to_be_visible()
