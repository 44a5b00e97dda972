"""Takes the pictures in docs/screens/ from a real server with demo data: python -m tools.screens"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize

from tests.browser import PHONE, WIDE, chromium
from tests.servers import running_server

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screens"
# name, who, address ("a:" opens the first record that the list links to), theme, window
SHOTS: list[tuple[str, str, str, str, ViewportSize]] = [
    ("start-light", "", "/", "light", WIDE),
    ("register-phone", "", "/register", "light", PHONE),
    ("account-light", "user", "/account", "light", WIDE),
    ("account-phone-dark", "user", "/account", "dark", PHONE),
    ("conversation-light", "user", "a:/account/conversations", "light", WIDE),
    ("keys-dark", "user", "/account/keys", "dark", WIDE),
    ("desk-light", "staff", "/staff?q=a", "light", WIDE),
    ("desk-record-light", "staff", "a:/staff?q=a", "light", WIDE),
    ("admin-dashboard-dark", "admin", "/admin", "dark", WIDE),
    ("admin-users-light", "admin", "/admin/users", "light", WIDE),
    ("admin-users-phone", "admin", "/admin/users", "light", PHONE),
    ("admin-user-dark", "admin", "a:/admin/users", "dark", WIDE),
    ("admin-jobs-light", "admin", "/admin/jobs", "light", WIDE),
    ("admin-audit-light", "admin", "/admin/audit", "light", WIDE),
]


def sign_in(page: Page, base: str, who: dict[str, Any]) -> None:
    """Through the form."""
    page.goto(f"{base}/sign-in")
    page.get_by_label("Username or e-mail").fill(who["username"])
    page.get_by_label("Password").fill(who["password"])
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile("/(account|staff|admin)"))


def take(browser: Browser, base: str, people: dict[str, dict[str, Any]]) -> None:
    """All pictures."""
    for name, who, place, theme, window in SHOTS:
        context = browser.new_context(viewport=window, color_scheme=theme)  # type: ignore[arg-type]  # its stubs want a TypedDict
        page = context.new_page()
        if who:
            sign_in(page, base, people[who])
        page.goto(base + place.removeprefix("a:"))
        if place.startswith("a:"):
            links = page.eval_on_selector_all("main a[href]", "all => all.map(one => one.getAttribute('href'))")
            page.goto(base + next(link for link in links if re.search(r"/[0-9a-f-]{36}$", link)))
        page.wait_for_timeout(700)  # charts draw themselves
        page.screenshot(path=FOLDER / f"{name}.png")
        context.close()


def main() -> None:
    """A server, demo data, the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running_server({}) as server, chromium() as browser:
        credentials = Path(folder) / "credentials.json"
        server.command("seed", "--users", "400", "--logs", "3000", "--credentials", str(credentials))
        server.command("jobs", "run", "count_figures")
        made = json.loads(credentials.read_text())
        take(browser, server.url, {"user": made["users"][0], "staff": made["staff"][0], "admin": made["admin"]})


if __name__ == "__main__":
    main()
