"""Second factors in a real browser: set up, asked for, lost, in the wrong order and in the wrong browser."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pyotp
import pytest

from tests.browser import Watched, open_page
from tests.mail.catcher import Catcher, catching
from tests.servers import Server, running_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
PASSWORD = "a calm sea at noon 9"


class Eyes:
    """Looks at each page it is shown, light, dark and narrow, and keeps what is wrong."""

    def __init__(self, watched: Watched) -> None:
        self.watched, self.faults = watched, list[str]()

    def look(self, what: str) -> None:
        """Look at the page as it stands."""
        self.faults += self.watched.faults(what)


def press(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def give_password(page: Page, base: str, name: str) -> None:
    page.goto(f"{base}/sign-in")
    page.get_by_label("Username or e-mail").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")


def set_up_app(page: Page, eyes: Eyes) -> tuple[pyotp.TOTP, list[str]]:
    """From the security page to the codes; answers the app and the codes."""
    eyes.look("security")
    page.get_by_role("link", name="Set up an app").click()
    eyes.look("before")
    press(page, "Go on")
    assert page.get_by_alt_text(re.compile("QR code")).evaluate("image => image.naturalWidth") > 0
    eyes.look("confirm")
    app = pyotp.TOTP(page.locator("#seed").inner_text())
    page.get_by_label("Code").fill("000 00")
    press(page, "Confirm")
    assert "not the code of now" in page.get_by_role("main").inner_text()
    page.get_by_label("Code").fill(app.now())
    press(page, "Confirm")
    eyes.look("codes")
    return app, page.locator("#recovery-codes").inner_text().split()


def unused_code(app: pyotp.TOTP, before: str) -> str:
    """A code that was not used yet; the phone's clock may be a step ahead."""
    for ahead in (0, 30):
        code = app.at(int(time.time()) + ahead)
        if code != before:
            return code
    raise AssertionError("two steps show one code")


def told(catcher: Catcher, words: str) -> bool:
    """Whether a mail with these words comes within a while."""
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        if any(words in caught.message.as_string() for caught in list(catcher.mails)):
            return True
        time.sleep(0.3)
    return False


def test_from_setting_up_to_a_lost_phone(browser: Browser) -> None:
    with catching() as catcher, running_server({"SMTP_URL": catcher.url, "CONFIRM_EMAIL": "false"}) as server:
        watched = Watched(open_page(browser))
        page, base, eyes = watched.page, server.url, Eyes(watched)
        page.goto(f"{base}/register")
        page.get_by_label("Username").fill("alice")
        page.get_by_label("E-mail").fill("alice@example.org")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        press(page, "Register")
        page.goto(f"{base}/account/security")
        app, codes = set_up_app(page, eyes)
        first = app.now()
        with page.expect_download() as download:
            press(page, "Download as a file")
        assert set(codes) <= set(download.value.path().read_text().split())
        page.get_by_role("link", name="I have kept them, go on").click()
        eyes.look("security with an app")
        page.goto(f"{base}/account/security/recovery-codes")
        eyes.look("codes left")
        page.goto(f"{base}/account/security/authenticator")
        eyes.look("app")
        assert told(catcher, "An authenticator app was set up")

        page.context.clear_cookies()
        page.goto(f"{base}/account/profile")
        page.get_by_label("Username or e-mail").fill("alice")
        page.get_by_label("Password").fill(PASSWORD)
        press(page, "Sign in")
        assert "/sign-in/factor" in page.url
        eyes.look("factor")
        copied = page.url
        stranger = open_page(browser)
        stranger.goto(copied)
        assert stranger.url.startswith(f"{base}/sign-in?"), "another browser with the copied address starts at the door"
        page.goto(f"{base}/account")
        assert page.url.startswith(f"{base}/sign-in?"), "steps out of order lead to the door"
        page.goto(copied)
        page.get_by_label("Code").fill("abc")
        press(page, "Sign in")
        eyes.look("factor, wrong")
        page.get_by_label("Code").fill(unused_code(app, first))
        press(page, "Sign in")
        page.wait_for_url(f"{base}/account/profile")

        lost = open_page(browser)
        give_password(lost, base, "alice")
        lost.get_by_label("Code").fill(codes[0].lower())
        press(lost, "Sign in")
        lost.wait_for_url(f"{base}/account")
        lost.go_back()
        assert lost.url == f"{base}/account", "going back leads home and spoils nothing"
        assert told(catcher, "9 are left")
        again = open_page(browser)
        give_password(again, base, "alice")
        again.get_by_label("Code").fill(codes[0])
        press(again, "Sign in")
        assert "was used before" in again.get_by_role("main").inner_text()
        press(again, "Start again")
        assert again.url.startswith(f"{base}/sign-in")
        assert eyes.faults == []


def test_an_admin_sets_one_up_before_anything_else_without_scripts(browser: Browser) -> None:
    with running_server({"REQUIRE_FACTOR": "staff,admin"}) as server:
        made = json.loads(server.command("create-admin", "--username", "root", "--email", "root@example.org"))
        page, base = open_page(browser, java_script_enabled=False), server.url
        sign_in_root(page, base, made["password"])
        assert page.url.startswith(f"{base}/account/security")
        page.goto(f"{base}/admin/users")
        assert page.url.startswith(f"{base}/account/security?next=")
        page.get_by_role("link", name="Set up an app").click()
        press(page, "Go on")
        app = pyotp.TOTP(page.locator("#seed").inner_text())
        page.get_by_label("Code").fill(app.now())
        press(page, "Confirm")
        page.get_by_role("link", name="I have kept them, go on").click()
        assert page.url == f"{base}/admin/users"
        reset_by_operator(server)
        page.goto(f"{base}/admin/users")
        assert page.url.startswith(f"{base}/sign-in"), "a reset ends the session"
        sign_in_root(page, base, made["password"])
        assert page.url.startswith(f"{base}/account/security"), "and asks for a new factor first"


def sign_in_root(page: Page, base: str, password: str) -> None:
    page.goto(f"{base}/sign-in")
    page.get_by_label("Username or e-mail").fill("root")
    page.get_by_label("Password").fill(password)
    press(page, "Sign in")


def reset_by_operator(server: Server) -> None:
    assert server.command("account", "reset-factor", "root") == "root has no second factor any more\n"
