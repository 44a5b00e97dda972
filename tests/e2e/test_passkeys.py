"""Passkeys with Chromium's virtual authenticator: added, used alone, by autofill and as a second factor, taken away."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Route, expect

from tests.browser import Watched, open_page
from tests.servers import Server

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

OPTIONS = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": False,
}


@dataclass
class Device:
    """A browser with an authenticator, and every address it asked for."""

    context: BrowserContext
    page: Page
    watched: Watched
    session: CDPSession
    authenticator: str
    asked: list[str] = field(default_factory=list)

    def touch(self, *, willing: bool) -> None:
        """Whether whoever sits there says yes to whatever the authenticator asks, from now on."""
        given = {"authenticatorId": self.authenticator, "enabled": willing}
        self.session.send("WebAuthn.setAutomaticPresenceSimulation", given)

    def recognise(self, *, known: bool) -> None:
        """Whether the authenticator recognises whoever sits there."""
        given = {"authenticatorId": self.authenticator, "isUserVerified": known}
        self.session.send("WebAuthn.setUserVerified", given)

    def held(self) -> list[dict[str, Any]]:
        """The passkeys that lie on it."""
        answer: dict[str, Any] = self.session.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator})
        found: list[dict[str, Any]] = answer["credentials"]
        return found


@pytest.fixture
def device(browser: Browser) -> Iterator[Device]:
    """A fresh browser with an empty authenticator, whose owner is not asked yet."""
    page = open_page(browser)
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable", {"enableUI": False})
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": OPTIONS})
    one = Device(page.context, page, Watched(page), session, made["authenticatorId"])
    page.on("request", lambda request: one.asked.append(request.url))
    yield one


def type_password(page: Page, base: str, who: dict[str, Any]) -> None:
    """Sign in through the form; where it leads is for the caller."""
    page.goto(f"{base}/sign-in")
    page.get_by_label("Username or e-mail").fill(who["username"])
    page.get_by_label("Password").fill(who["password"])
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def add(device: Device, base: str, name: str) -> None:
    """Add a passkey, signed in already."""
    device.page.goto(f"{base}/account/security/passkeys/new")
    device.page.get_by_label("Name").fill(name)
    device.touch(willing=True)
    device.page.get_by_role("button", name="Go on with your device").click()
    expect(device.page.locator("form[data-passkey]")).to_have_count(0)
    device.touch(willing=False)


def test_a_passkey_from_its_making_to_its_end(device: Device, demo: tuple[Server, dict[str, Any]]) -> None:
    server, people = demo
    who, page = people["users"][1], device.page
    type_password(page, server.url, who)
    page.wait_for_url("**/account")
    add(device, server.url, "Work laptop")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    [held] = device.held()
    assert (held["rpId"], held["isResidentCredential"], held["userName"]) == ("localhost", True, who["username"])

    # By the button, in a browser that remembers nothing.
    device.context.clear_cookies()
    page.goto(f"{server.url}/sign-in/passkey?next=/account/keys")
    device.touch(willing=True)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{server.url}/account/keys")  # not the address that only names it
    device.touch(willing=False)

    # As the second factor.
    device.context.clear_cookies()
    type_password(page, server.url, who)
    page.wait_for_url("**/sign-in/factor")
    device.touch(willing=True)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/account")

    # By autofill: nobody clicks anything.
    device.context.clear_cookies()
    page.goto(f"{server.url}/sign-in")
    page.wait_for_url("**/account")
    device.touch(willing=False)
    [held] = device.held()
    assert held["signCount"] >= 3

    page.goto(f"{server.url}/account/security/passkeys")
    page.get_by_role("link", name="Rename Work laptop").click()
    page.get_by_label("Name").fill("Old laptop")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Old laptop", exact=True)).to_be_visible()
    page.get_by_role("link", name="Remove Old laptop").click()
    page.get_by_role("button", name="Remove the passkey").click()
    expect(page.get_by_text("No passkey yet")).to_be_visible()

    # The device still offers it; it opens nothing.
    device.context.clear_cookies()
    page.goto(f"{server.url}/sign-in/passkey")
    device.touch(willing=True)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("This passkey was not accepted.")).to_be_visible()
    assert page.url == f"{server.url}/sign-in/passkey"
    assert device.watched.complaints() == []
    assert [address for address in device.asked if not address.startswith(f"{server.url}/")] == []


def let_time_pass(server: Server) -> None:
    """Everybody last proved who they are six minutes ago."""
    with closing(sqlite3.connect(server.data_dir / "doorward.sqlite3")) as database, database:
        database.execute("UPDATE sessions SET entered_at = strftime('%Y-%m-%d %H:%M:%f000', 'now', '-6 minutes')")


def test_it_answers_when_one_is_asked_again(device: Device, demo: tuple[Server, dict[str, Any]]) -> None:
    server, people = demo
    page = device.page
    type_password(page, server.url, people["users"][5])
    page.wait_for_url("**/account")
    add(device, server.url, "Phone")
    let_time_pass(server)
    page.goto(f"{server.url}/account/security/passkeys/new")
    page.wait_for_url("**/account/reauth?**")
    assert device.watched.axe_findings() == []
    device.touch(willing=True)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/account/security/passkeys/new")
    # The page was open for too long: the script is told, and the form leads to where one is asked.
    let_time_pass(server)
    page.get_by_label("Name").fill("Another")
    page.get_by_role("button", name="Go on with your device").click()
    page.wait_for_url("**/account/reauth?**")
    expect(page.get_by_text("Nothing was done yet")).to_be_visible()
    assert len(device.held()) == 1
    assert device.watched.complaints() == []


def test_the_pages_are_fit_for_everybody(device: Device, demo: tuple[Server, dict[str, Any]]) -> None:
    server, people = demo
    page, faults = device.page, []
    type_password(page, server.url, people["users"][4])
    page.wait_for_url("**/account")
    add(device, server.url, "A phone with a rather long name, as people give them when they have many")
    listed = "/account/security/passkeys"
    page.goto(server.url + listed)
    one = page.get_by_role("link", name="Rename").get_attribute("href") or ""
    for place in ("/account/security", listed, f"{listed}/new", one, f"{one}/remove"):
        page.goto(server.url + place)
        faults += device.watched.faults(place)
    assert faults == []


def test_what_the_device_refuses_is_told_on_the_page(device: Device, demo: tuple[Server, dict[str, Any]]) -> None:
    server, people = demo
    page = device.page
    type_password(page, server.url, people["users"][2])
    page.wait_for_url("**/account")
    page.goto(f"{server.url}/account/security/passkeys/new")
    device.recognise(known=False)
    device.touch(willing=True)
    page.get_by_role("button", name="Go on with your device").click()
    expect(page.get_by_role("alert")).to_contain_text("No passkey was chosen, or it took too long.")
    assert device.held() == []
    # What was refused can be tried again on the same page.
    device.recognise(known=True)
    page.get_by_role("button", name="Go on with your device").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    # The same device a second time: it says by itself that it holds one.
    page.goto(f"{server.url}/account/security/passkeys/new")
    page.get_by_role("button", name="Go on with your device").click()
    expect(page.get_by_role("alert")).to_contain_text("This device holds a passkey for your account already.")
    assert len(device.held()) == 1
    assert device.watched.complaints() == []


def test_an_authenticator_that_recognised_nobody_does_not_sign_in(
    device: Device, demo: tuple[Server, dict[str, Any]]
) -> None:
    server, people = demo
    page = device.page
    type_password(page, server.url, people["users"][3])
    page.wait_for_url("**/account")
    add(device, server.url, "Key")
    device.context.clear_cookies()
    device.recognise(known=False)
    page.goto(f"{server.url}/sign-in/passkey")
    device.touch(willing=True)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("No passkey was chosen")
    assert page.goto(f"{server.url}/account") is not None
    assert re.search(r"/sign-in\?next=", page.url)


def test_without_scripts_the_pages_say_what_is_missing(browser: Browser, demo: tuple[Server, dict[str, Any]]) -> None:
    page = open_page(browser, java_script_enabled=False)
    page.goto(f"{demo[0].url}/sign-in/passkey")
    expect(page.get_by_text("Passkeys need scripts, and your browser runs none here.")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Passkeys need scripts: allow them for this site.")


def test_no_challenge_is_asked_for_once_a_form_is_on_its_way(
    device: Device, demo: tuple[Server, dict[str, Any]]
) -> None:
    """Its answer could come after that to the form and put back the cookie of before: the first half was lost so."""
    server, people = demo
    page = device.page
    page.add_init_script(
        "PublicKeyCredential.isConditionalMediationAvailable ="
        " () => new Promise((done) => document.addEventListener('submit', () => setTimeout(() => done(true), 200)));"
    )

    def hold_back(route: Route) -> None:
        if route.request.method == "POST":
            page.wait_for_timeout(1500)
        route.continue_()

    page.route("**/sign-in", hold_back)
    type_password(page, server.url, people["users"][15])
    page.wait_for_url("**/account")
    assert [url for url in device.asked if url.endswith("/options")] == []
