"""What is mailed, followed in real browsers: the mails come from a real server by real SMTP."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import open_page
from tests.e2e.test_every_page import sign_in
from tests.mail.catcher import Catcher, catching
from tests.servers import Server, running_server

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
House = tuple[Server, dict[str, Any], Catcher]
LINK = re.compile(r"https?://\S+/(?:new-email|keep-email|reset)/\S+")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server whose mail leaves to a catcher, with people."""
    credentials: Path = tmp_path_factory.mktemp("house") / "credentials.json"
    with catching() as catcher, running_server({"SMTP_URL": catcher.url, "MAIL_FROM": "desk@example.org"}) as server:
        server.command("seed", "--users", "20", "--logs", "20", "--credentials", str(credentials))
        yield server, json.loads(credentials.read_text()), catcher


def mailed_link(catcher: Catcher, to: str, path: str) -> str:
    """The link of this sort in the latest mail to an address, once it has come."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for caught in reversed(catcher.mails):
            part = caught.message.get_body(("plain",))
            found = LINK.search(part.get_content()) if part and caught.recipients == [to] else None
            if found and path in found[0]:
                return found[0]
        time.sleep(0.2)
    raise AssertionError(f"no mail with {path} to {to}: {[caught.recipients for caught in catcher.mails]}")


def new_page(browser: Browser) -> Page:
    """A page in a browser of its own."""
    return open_page(browser)


def test_an_address_is_changed_in_one_browser_confirmed_in_another_and_taken_back_in_a_third(
    browser: Browser, house: House
) -> None:
    server, people, catcher = house
    who = people["users"][0]
    thief, phone, owner = (new_page(browser) for _ in range(3))
    sign_in(thief, server.url, who)
    thief.goto(f"{server.url}/account/email")
    old = thief.locator("dl.kv dd").first.inner_text().split()[0]
    thief.get_by_label("New e-mail address").fill("thief@new.example")
    thief.get_by_role("button", name="Mail me the link").click()
    expect(thief.get_by_text("We mailed a link to thief@new.example").first).to_be_visible()

    phone.goto(mailed_link(catcher, "thief@new.example", "/new-email/"))
    phone.get_by_role("button", name="Use this address").click()
    expect(phone.get_by_text("is thief@new.example now")).to_be_visible()
    expect(phone).to_have_url(re.compile("/sign-in"))
    thief.goto(f"{server.url}/account")
    expect(thief).to_have_url(re.compile("/sign-in"))

    keep = mailed_link(catcher, old, "/keep-email/")
    owner.goto(keep)
    owner.goto(keep)  # looking spends nothing
    owner.get_by_role("button", name="Keep this address").click()
    expect(owner.get_by_text("is the address of your account again")).to_be_visible()
    owner.goto(mailed_link(catcher, old, "/reset/"))
    owner.get_by_label("New password").fill("four noisy trumpets")
    owner.get_by_label("Again", exact=False).last.fill("four noisy trumpets")
    owner.get_by_role("main").get_by_role("button").last.click()
    expect(owner).to_have_url(re.compile("/sign-in"))
    sign_in(owner, server.url, {"username": old, "password": "four noisy trumpets"})
    owner.goto(f"{server.url}/account/email")
    assert owner.locator("dl.kv dd").first.inner_text().startswith(old)
    assert owner.goto(keep).status == 404  # type: ignore[union-attr]  # it answers


def test_a_letter_in_the_console_runs_nothing_and_its_links_lead_nowhere(browser: Browser, house: House) -> None:
    server, people, _ = house
    page = new_page(browser)
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text))
    sign_in(page, server.url, people["admin"])
    page.goto(f"{server.url}/admin/mail/letters/reset")
    letter = page.frame_locator("iframe.letter")
    expect(letter.get_by_text("Hello Alice,")).to_be_visible()
    assert said == []
    letter.get_by_role("link").first.click()
    page.wait_for_timeout(500)
    assert page.url.endswith("/admin/mail/letters/reset")
