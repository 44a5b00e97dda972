"""In a browser: a large export is asked for, watched while it is made, and fetched; prompts are kept and found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import Watched, open_page
from tests.e2e.test_every_page import sign_in
from tests.servers import Server, running_server

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
SAID = 60


@pytest.fixture
def house(tmp_path: Path) -> Iterator[tuple[Server, dict[str, Any]]]:
    """A server that makes a work of more than five exchanges, and somebody who had sixty."""
    credentials = tmp_path / "credentials.json"
    with running_server({"EXPORT_MOST_STREAMED": "5", "FLUSH_INTERVAL_S": "1"}) as server:
        server.command("seed", "--users", "3", "--logs", "10", "--credentials", str(credentials))
        people = json.loads(credentials.read_text())
        me = people["users"][0]
        records = [
            {"username": me["username"], "prompt": f"lantern {number}", "response": "=1+1"} for number in range(SAID)
        ]
        with server.caller(people["client"]["token"]) as client:
            status, told = client.post("/api/v1/message-logs", {"records": records})
        assert (status, told["accepted"]) == (202, SAID), told
        server.command("jobs", "run", "flush_message_logs")
        yield server, me


def test_an_export_is_asked_for_watched_and_fetched(
    browser: Browser, house: tuple[Server, dict[str, Any]], tmp_path: Path
) -> None:
    server, me = house
    watched = Watched(open_page(browser, accept_downloads=True))
    page = watched.page
    sign_in(page, server.url, me)
    page.goto(f"{server.url}/account/exports")
    page.get_by_role("link", name="Export conversations").first.click()
    page.get_by_label("Only with these words").fill("lantern")
    page.get_by_role("button", name="Export").click()
    # The page brings itself up to date until the file is there; nobody reloads it.
    expect(page.get_by_role("link", name="Fetch the file")).to_be_visible(timeout=60_000)
    expect(page.locator("#progress")).to_contain_text(f"{SAID} of {SAID} exchanges")
    with page.expect_download() as fetched:
        page.get_by_role("link", name="Fetch the file").click()
    file = tmp_path / "file.jsonl"
    fetched.value.save_as(file)
    assert fetched.value.suggested_filename.startswith("message-logs-")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert sorted(line["messages"][0]["content"] for line in lines) == sorted(f"lantern {n}" for n in range(SAID))
    assert watched.complaints() == []
    page.get_by_text("Delete", exact=True).first.click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("No exports yet")).to_be_visible()


def test_a_prompt_is_kept_found_answered_and_deleted(browser: Browser, house: tuple[Server, dict[str, Any]]) -> None:
    server, me = house
    watched = Watched(open_page(browser))
    page = watched.page
    sign_in(page, server.url, me)
    for title in ("Soup", "Ship"):
        page.goto(f"{server.url}/account/prompts/new")
        page.get_by_label("Title").fill(title)
        page.get_by_label("Prompt", exact=True).fill(f"All about the {title}")
        page.get_by_role("button", name="Keep the prompt").click()
        expect(page.get_by_role("heading", name=title)).to_be_visible()
    page.goto(f"{server.url}/account/prompts")
    page.get_by_placeholder("Words of a prompt").press_sequentially("soup")
    expect(page.get_by_role("link", name="Ship")).to_have_count(0)
    page.get_by_role("link", name="Soup").click()
    page.get_by_label("Response").fill("Leek and potato.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.goto(f"{server.url}/account/prompts")
    expect(page.get_by_text("Filled in")).to_be_visible()
    page.get_by_role("link", name="Soup").click()
    page.get_by_text("Delete", exact=True).first.click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("The prompt is deleted.")).to_be_visible()
    expect(page.get_by_role("link", name="Soup")).to_have_count(0)
    assert watched.complaints() == []
