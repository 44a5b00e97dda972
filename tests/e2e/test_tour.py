"""The README's tour, walked: its browser steps in Chromium, its shell blocks as written."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from portal.core.places import ROOT
from tests.browser import Watched, open_page
from tests.servers import running_server
from tests.shell import Shell

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
README = (ROOT / "README.md").read_text("utf-8")
TOUR = README.partition("## A tour in five minutes")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```sh\n(.*?)```", TOUR, flags=re.S)


def test_the_tour(browser: Browser, tmp_path: Path) -> None:
    with running_server({}) as server:
        page = Watched(open_page(browser, reduced_motion="no-preference"))  # as most people have it
        key = register_and_make_key(page, server.url)
        shell = Shell(server, tmp_path, DOORWARD_KEY=key)
        made, verify, refused, push, read = BLOCKS
        shell.run(made)
        first = shell.json(verify)
        assert (first["code"], first["daily"]["used"], first["daily"]["limit"]) == ("VALID", 1, 100)
        second = shell.json(refused)
        assert (second["code"], second["daily"]["used"], "clears_at" in second) == ("DAILY_LIMIT_REACHED", 1, True)
        page.page.get_by_role("link", name="Usage").first.click()
        page.page.get_by_role("link", name="The daily limit is reached").click()
        assert second["decision_id"] in page.page.url
        pushed = shell.json(push)
        assert (pushed["accepted"], pushed["duplicate"], pushed["rejected"]) == (3, 0, 0)
        found = until(lambda: shell.json(read)["items"])
        assert [item["source_id"] for item in found] == ["tour-1"]
        assert shell.json(push)["duplicate"] == 3
        page.page.get_by_role("link", name="Conversations").first.click()
        page.page.get_by_role("link", name=re.compile("Why is the sea salty")).click()
        words = page.page.get_by_role("main").inner_text()
        assert "only the water evaporates" in words
        assert "Most have an outlet" in words
        assert "among the saltiest known" in words
        assert not page.complaints()


def register_and_make_key(watched: Watched, base: str) -> str:
    """Steps 1 to 4; the words in bold are what is clicked."""
    page = watched.page
    for word in ("Register", "API keys", "Make a key", "Make the key"):
        assert f"**{word}**" in TOUR
    page.goto(base)
    page.get_by_role("link", name="Register").first.click()
    page.get_by_label("Username").fill("alice")
    page.get_by_label("E-mail").fill("alice@example.org")
    page.get_by_label("Password", exact=True).fill("a calm sea at noon 9")
    assert page.get_by_label("Time zone").input_value() != ""  # offered from the browser
    page.get_by_role("main").get_by_role("button", name="Register").click()
    page.get_by_role("link", name="API keys").first.click()
    page.get_by_role("link", name="Make a key").first.click()
    page.get_by_label("Name").fill("tour")
    page.get_by_role("button", name="Make the key").click()
    found = re.search(r"dw_[\w-]{49}", page.get_by_role("main").inner_html())
    assert found, "the key is not shown"
    return found.group()


def until(ask: Callable[[], list[Any]], *, seconds: float = 20) -> list[Any]:
    """Ask again until there is an answer: the flush needs a moment."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if found := ask():
            return found
        time.sleep(0.3)
    raise AssertionError("nothing came in time")
