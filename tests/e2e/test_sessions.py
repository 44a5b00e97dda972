"""Sessions in Chromium: asked again on the way to a key, signed out from another browser, "this was not me" by mail."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import PHONE, Watched, open_page
from tests.mail.catcher import Catcher, catching
from tests.servers import Server, running_server

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
House = tuple[Server, dict[str, Any], Catcher]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A server with a few people, whose mails are caught."""
    with catching() as catcher, running_server({"SMTP_URL": catcher.url}) as server:
        server.command("seed", "--users", "3", "--logs", "0", "--credentials", str(tmp_path / "people.json"))
        yield server, json.loads((tmp_path / "people.json").read_text()), catcher


def enter(browser: Browser, server: Server, who: dict[str, Any], **context: Any) -> Page:
    """A browser of its own in which this person is signed in."""
    page = open_page(browser, **context)
    page.goto(f"{server.url}/sign-in")
    page.get_by_label("Username or e-mail").fill(who["username"])
    page.get_by_label("Password").fill(who["password"])
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(re.compile("/(account|staff|admin)"))
    return page


def later(server: Server, seconds: int) -> None:
    """Start the server again, so much later."""
    server.stop()
    server.settings["CLOCK_OFFSET_S"] = str(seconds)
    server.start()


def test_asked_again_on_the_way_to_a_key_and_others_are_signed_out(browser: Browser, house: House) -> None:
    server, people, _ = house
    here, other = enter(browser, server, people["users"][0]), enter(browser, server, people["users"][0], viewport=PHONE)
    later(server, 400)
    watched = Watched(here)
    here.goto(f"{server.url}/account/keys/new")
    expect(here.get_by_role("heading", level=1)).to_have_text("Confirm that it is you")
    assert watched.axe_findings() == []
    expect(here.get_by_label("Password")).to_be_focused()
    here.get_by_label("Password").fill("not the password")
    here.get_by_role("button", name="Confirm").click()
    expect(here.get_by_text("That is not the password").first).to_be_visible()
    here.get_by_label("Password").fill(people["users"][0]["password"])
    here.keyboard.press("Enter")
    here.wait_for_url("**/account/keys/new")
    here.get_by_label("Name", exact=True).fill("laptop")
    here.get_by_role("button", name="Make the key").click()
    expect(here.get_by_text("laptop").first).to_be_visible()
    here.goto(f"{server.url}/account/sessions")
    assert watched.axe_findings() == []
    here.get_by_role("button", name="Sign out everywhere else").click()
    expect(here.get_by_text("One other browser is signed out.")).to_be_visible()
    other.goto(f"{server.url}/account/keys")
    assert "/sign-in" in other.url
    here.goto(f"{server.url}/account/keys")
    assert here.url.endswith("/account/keys")
    assert watched.complaints() == []


def test_a_sign_in_that_was_not_hers_is_locked_out_by_mail(browser: Browser, house: House) -> None:
    server, people, catcher = house
    hers, his = enter(browser, server, people["users"][0]), enter(browser, server, people["users"][0])
    page = open_page(browser, viewport=PHONE, color_scheme="dark")
    watched = Watched(page)
    page.goto(server.url + mailed(catcher, "/not-me/"))
    expect(page.get_by_text("Chrome on Linux")).to_be_visible()
    assert watched.axe_findings() == []
    assert not watched.scrolls_sideways()
    page.get_by_role("button", name="Lock the account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The account is locked")
    assert watched.axe_findings() == []
    for one in (hers, his):
        one.goto(f"{server.url}/account")
        assert "/sign-in" in one.url
    page.goto(server.url + mailed(catcher, "/reset/"))
    page.get_by_label("New password").fill("other quiet lanterns 9")
    page.get_by_label("The same again").fill("other quiet lanterns 9")
    page.get_by_role("main").get_by_role("button").last.click()
    page.wait_for_url("**/sign-in")
    enter(browser, server, {**people["users"][0], "password": "other quiet lanterns 9"})
    assert watched.complaints() == []


def mailed(catcher: Catcher, path: str) -> str:
    """The path of the link of this sort in a mail that has come, or comes soon."""
    for _ in range(600):
        for caught in reversed(catcher.mails):
            part = caught.message.get_body(("plain",))
            found = re.search(rf"https?://[^/\s]+({path}[\w-]+)", part.get_content() if part else "")
            if found:
                return found[1]
        time.sleep(0.1)
    raise AssertionError(f"no mail with {path}")
