"""The desk in Chromium, as three levels work on it: find, open a case, note, hand it up, take it on, close; and the
user's door. Axe looks at every page of cases, light and dark, and on a phone."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import PHONE, WIDE, Watched, open_page
from tests.servers import Server

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


class Person:
    """Somebody with a browser of their own, signed in, whose pages are looked at."""

    def __init__(self, browser: Browser, server: Server, who: dict[str, Any], theme: str) -> None:
        self.base = server.url
        self.page: Page = open_page(browser, color_scheme=theme)
        self.watched = Watched(self.page)
        self.enter(who)

    def enter(self, who: dict[str, Any]) -> None:
        """Sign in."""
        self.go("/sign-in")
        self.page.get_by_label("Username or e-mail").fill(who["username"])
        self.page.get_by_label("Password").fill(who["password"])
        self.page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url(re.compile("/(account|staff)"))

    def go(self, path: str) -> None:
        """Open an address."""
        self.page.goto(self.base + path)

    def click(self, words: str, kind: Literal["button", "link"] = "button") -> None:
        """Press what is called so in the page itself."""
        self.page.get_by_role("main").get_by_role(kind, name=words, exact=True).first.click()

    def write(self, label: str, words: str) -> None:
        """Fill a field."""
        self.page.get_by_label(label).fill(words)

    def sees(self, words: str) -> None:
        """Wait until the page says this, then look at the whole of it."""
        expect(self.page.get_by_role("main").get_by_text(words).first).to_be_visible()

    def look(self) -> None:
        """Nothing wrong with the page as it stands."""
        found = self.watched.axe_findings()
        self.page.set_viewport_size(PHONE)
        assert not self.watched.scrolls_sideways(), self.page.url
        self.page.set_viewport_size(WIDE)
        assert found + self.watched.complaints() == [], self.page.url


def test_three_levels_and_a_user_work_on_a_case(browser: Browser, demo: tuple[Server, dict[str, Any]]) -> None:
    server, people = demo
    member = people["users"][1]
    staff = sorted(people["staff"], key=lambda one: one["level"])
    user, tess = Person(browser, server, member, "light"), Person(browser, server, staff[0], "light")
    theo, tara = (Person(browser, server, one, "dark") for one in staff[1:])

    user.go("/account/help")
    user.click("Ask for help", "link")
    user.look()
    user.write("Your message", "My key is refused.\nSince Monday.")
    user.click("Send")
    user.sees("The answer will stand here.")
    asked = user.page.url.removeprefix(server.url)
    number = asked.rpartition("/")[2]

    # Level 1 finds the caller, opens a case about them, and takes on what they asked.
    tess.go("/staff")
    tess.page.locator("main input[name=q]").fill(member["username"])
    tess.page.locator("main input[name=q]").press("Enter")
    tess.sees("You have no case open about this user")
    tess.click("Open a case", "link")
    tess.write("What is it about?", "Calls about a refused key.")
    tess.click("Open the case")
    tess.sees("You act in case")
    tess.page.get_by_text("Write a note").first.click()
    tess.write("New note", f"Rather writes than calls, @{staff[2]['username']}.")
    tess.click("Write the note")
    tess.sees("The note is written; ")
    tess.sees("Rather writes than calls")
    tess.look()
    tess.go("/staff/escalations")
    tess.look()
    tess.click(number, "link")
    tess.click("Take it on")
    tess.write("Answer", "Somebody who can unlock it looks at once.")
    tess.click("Send the answer")
    tess.sees("Answered.")
    tess.page.get_by_text("Hand it on").first.click()
    tess.page.get_by_label("To whom?").select_option("Level 2")
    tess.write("What is to be done?", "Unlock, please.")
    tess.look()
    tess.page.locator("form").get_by_role("button", name="Hand it on").click()
    tess.sees("no longer yours")
    tess.look()

    # Level 2 takes it, then hands it to a person; level 3 is told in the navigation, and ends it.
    theo.go(f"/staff/cases/{number}")
    theo.sees("Unlock, please.")
    theo.click("Take it on")
    # In the case he unmasks the address, sees what signing out would do and does it, and leaves a note.
    theo.click("To the record", "link")
    theo.page.get_by_role("link", name="Reveal: E-mail").click()
    theo.write("Reason", "To write to them about it.")
    theo.page.locator("#reveals").get_by_role("button", name="Reveal").click()
    theo.sees(member["email"])
    theo.look()
    theo.page.locator("#acts").get_by_role("link", name="Sign out everywhere").click()
    theo.look()
    theo.write("Reason", "A stranger's browser.")
    theo.page.locator("main form").get_by_role("button").first.click()
    theo.page.locator("#notes summary").first.click()
    theo.write("New note", "Signed out everywhere; the key itself is fine.")
    theo.click("Write the note")
    theo.sees("the key itself is fine")
    theo.go(f"/staff/cases/{number}")
    theo.sees("unmasked a field of a record")
    theo.sees("A stranger's browser.")
    theo.page.get_by_text("Hand it on").first.click()
    theo.page.get_by_label("To whom?").select_option(tara_of(theo))
    theo.write("What is to be done?", "A higher limit, too.")
    theo.look()
    theo.page.locator("form").get_by_role("button", name="Hand it on").click()
    theo.sees("no longer yours")
    tara.go("/staff")
    expect(tara.page.get_by_role("link", name=re.compile("My cases 1")).first).to_be_visible()
    expect(tara.page.get_by_role("link", name=re.compile("Notes that name you 1")).first).to_be_visible()
    tara.go("/staff/cases")
    tara.sees("Handed to you")
    tara.click(number, "link")
    tara.click("Take it on")
    tara.page.get_by_text("Close it").first.click()
    tara.write("What came of it?", "The key works again.")
    tara.page.get_by_role("button", name="Close the case").click()
    tara.sees("is closed.")
    tara.look()

    user.go(asked)
    expect(user.page).to_have_url(re.compile("/sign-in"))  # signed out everywhere
    user.enter(member)
    user.go(asked)
    user.sees("Somebody who can unlock it looks at once.")
    user.sees("The key works again.")
    user.look()
    user.go("/account/help")
    user.look()


def tara_of(person: Person) -> str:
    """The choice that is a person of level 3."""
    options = person.page.get_by_label("To whom?").locator("option")
    values: list[str] = options.evaluate_all(
        "all => all.filter(one => one.textContent.includes('level 3')).map(one => one.value)"
    )
    return values[0]
