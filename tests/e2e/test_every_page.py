"""Every page, as whoever may open it, light, dark and on a phone: axe finds nothing, the console is silent."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import Watched, open_page
from tests.servers import Server

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PUBLIC = ["/", "/sign-in", "/sign-in/passkey", "/register", "/forgotten", "/status", "/nowhere", "/reset/no-such-token"]
PUBLIC += ["/api/docs/errors", "/api/docs/changes"]  # /api/docs has a test of its own
ACCOUNT = [
    "/account",
    "/account/keys",
    "/account/keys/new",
    "/account/keys?show=ended",
    "a:/account/keys",
    "a:/account/keys:/rotate",
    "a:/account/keys:/revoke",
    "/account/conversations",
    "/account/conversations?q=nothing-says-this",
    "a:/account/conversations",
    "/account/prompts",
    "/account/prompts?q=nothing-says-this",
    "/account/prompts/new",
    "/account/exports",
    "/account/exports/new",
    "/account/usage",
    "/account/usage?days=90",
    "/account/usage/ledger",
    "/account/usage/refusals",
    "/account/usage/refusals?q=no-decision",
    "/account/profile",
    "/account/email",
    "/account/username",
    "/account/security/passkeys",
    "/account/security/passkeys/new",
    "/account/security/authenticator",
    "/account/security/recovery-codes",
    "/account/security/password",
    "/account/sessions",
    "/account/picture",
    "/account/activity",
    "/account/activity/looks",
    "/account/data",
    "/account/data/close",
    "/account/help",
    "/account/help/new?subject=more",
]
STAFF = [
    "/staff",
    "/staff/cases",
    "/staff/escalations",
    "/staff/escalations?level=3",
    "/staff?q=a",
    "/staff?q=nobody-is-called-this",
    "a:/staff?q=a",
    "a:/staff?q=a:/usage",
    "a:/staff?q=a:/refusals",
    "a:/staff?q=a:/logs",
    "a:/staff?q=a:/timeline",
    "a:/staff?q=a:/staff/notes/*",
    "/staff/notes",
    "/staff/history",
    "/account/profile",
    "/staff/deleted",
    "/staff/deleted?q=nobody-is-called-this",
]
# What looks otherwise to the first level.
FIRST_LEVEL = ["/staff", "/staff?q=a", "a:/staff?q=a", "a:/staff?q=a:/timeline", "/staff/deleted"]
# Once a case is open.
ACTS = [
    "a:/staff?q=a",
    "a:/staff?q=a:/staff/acts/*/suspend",
    "a:/staff?q=a:/staff/acts/*/plan",
    "a:/staff?q=a:/staff/acts/*/boost",
    "a:/staff?q=a:/staff/acts/*/unlock",
    "a:/staff?q=a:/staff/reveals/*/email",
]
ADMIN = [
    "/admin",
    "/admin/usage",
    "/admin/users",
    "/admin/users?q=an&sort=username",
    "/admin/users?state=suspended",
    "/admin/users?q=nobody-is-called-this",
    "/admin/users/new",
    "a:/admin/users",
    "a:/admin/users:/edit",
    "a:/admin/users:/ledger",
    "a:/admin/users:/admin/notes/*",
    "a:/admin/users:/admin/timeline/*",
    "a:/admin/users:/admin/cases/*",
    "a:/admin/users:/admin/acts/*/reset-password",
    "/admin/deleted",
    "a:/admin/users:/record",
    "a:/admin/users:/view/begin",
    "a:/admin/users:/view",
    "/admin/staff",
    "/admin/staff/new",
    "a:/admin/staff",
    "/admin/admins",
    "/admin/admins/new",
    "a:/admin/admins",
    "/admin/plans",
    "/admin/plans/new",
    "a:/admin/plans",
    "/admin/providers",
    "/admin/providers/new",
    "/admin/clients",
    "/admin/clients/new",
    "a:/admin/clients",
    "/admin/status-checks",
    "/admin/logs",
    "/admin/logs?q=nothing-has-this-id",
    "a:/admin/logs",
    "/admin/logs/quarantine",
    "/admin/mail",
    "/admin/mail?state=given_up",
    "/admin/mail/letters",
    "/admin/mail/letters/reset",
    "/admin/jobs",
    "/admin/jobs/flush_message_logs",
    "/admin/networks",
    "/admin/audit",
    "/admin/audit?q=nothing-has-this-id",
    "/admin/audit/chain",
    "a:/admin/audit?event=sign_in.done",
]
ID = re.compile(r"/[0-9a-f]{8}-[0-9a-f-]{27}$")


def places_of(page: Page, base: str, listed: list[str]) -> list[str]:
    """Addresses; `a:LIST` stands for the first record that LIST links to, `a:LIST:/END` for a page below it, and
    `a:LIST:/place/*` for the page of that record elsewhere."""
    places = []
    for place in listed:
        if place.startswith("a:"):
            _, where, *end = place.split(":")
            page.goto(base + where)
            links = page.eval_on_selector_all("main a[href]", "all => all.map(one => one.getAttribute('href'))")
            found = [link for link in links if ID.search(link.split("?")[0])]
            assert found, f"{where} links to no record"
            below = "".join(end)
            record_id = found[0].rpartition("/")[2]
            places.append(below.replace("*", record_id) if "*" in below else found[0] + below)
        else:
            places.append(place)
    return places


def sign_in(page: Page, base: str, who: dict[str, Any]) -> None:
    page.goto(f"{base}/sign-in")
    page.get_by_label("Username or e-mail").fill(who["username"])
    page.get_by_label("Password").fill(who["password"])
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(re.compile("/(account|staff|admin)"))


def inspect(browser: Browser, base: str, who: dict[str, Any] | None, listed: list[str]) -> None:
    watched = Watched(open_page(browser))
    page = watched.page
    if who:
        sign_in(page, base, who)
    faults: list[str] = []
    for place in places_of(page, base, listed):
        page.goto(base + place, wait_until="load")
        faults += watched.faults(place)
    assert not faults, "\n".join(faults)


def open_a_case(browser: Browser, base: str, who: dict[str, Any]) -> None:
    """About the user on whose pages `a:/staff?q=a` is looked at."""
    page = open_page(browser)
    sign_in(page, base, who)
    page.goto(base + places_of(page, base, ["a:/staff?q=a:/staff/cases/new/*"])[0])
    page.get_by_label("What is it about?").fill("They called.")
    page.get_by_role("button", name="Open the case").click()
    page.wait_for_url(re.compile("/staff/users/"))


def test_public_pages(browser: Browser, demo: tuple[Server, dict[str, Any]]) -> None:
    inspect(browser, demo[0].url, None, PUBLIC)


def test_account_pages(browser: Browser, demo: tuple[Server, dict[str, Any]]) -> None:
    server, people = demo
    inspect(browser, server.url, people["users"][0], ACCOUNT)


@pytest.mark.parametrize("level", [1, 3])
def test_staff_pages(browser: Browser, demo: tuple[Server, dict[str, Any]], level: int) -> None:
    server, people = demo
    who = next(one for one in people["staff"] if one["level"] == level)
    inspect(browser, server.url, who, STAFF if level == 3 else FIRST_LEVEL)
    if level == 3:
        open_a_case(browser, server.url, who)
        inspect(browser, server.url, who, ACTS)


def test_admin_pages(browser: Browser, demo: tuple[Server, dict[str, Any]]) -> None:
    server, people = demo
    inspect(browser, server.url, people["admin"], ADMIN)


def test_nothing_moves_for_whoever_wants_no_motion(browser: Browser, demo: tuple[Server, dict[str, Any]]) -> None:
    page = open_page(browser)
    page.goto(demo[0].url)
    page.emulate_media(color_scheme="dark")
    moving = page.evaluate(
        """() => new Promise(done => {
          const look = () => document.documentElement.dataset.bsTheme === "dark"
            ? done(document.getAnimations().length) : requestAnimationFrame(look);
          look();
        })"""
    )
    assert moving == 0
