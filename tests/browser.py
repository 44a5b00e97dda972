"""Chromium for the tests: one browser a worker, with what a page must never show: console messages, axe findings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
EVERYTHING = "axe.run(document, {resultTypes: ['violations']})"
RULES_OF_COLOUR = "{type: 'rule', values: ['color-contrast', 'link-in-text-block']}"
COLOURS = f"axe.run(document, {{resultTypes: ['violations'], runOnly: {RULES_OF_COLOUR}}})"
# The theme follows the system without a reload; a colour that is handed down changes a frame after its parent's.
FOLLOWED = """theme => new Promise(done => {
  const look = () => document.documentElement.dataset.bsTheme === theme && !document.getAnimations().length
    ? requestAnimationFrame(() => document.getAnimations().length ? look() : done()) : requestAnimationFrame(look);
  requestAnimationFrame(look);
})"""
WIDER = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(
  () => done(document.documentElement.scrollWidth > window.innerWidth))))"""
WIDE: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, headless."""
    path = os.environ.get("TEST_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


def open_page(browser: Browser, **options: Any) -> Page:
    """A page of a fresh browser, without cookies. Nothing fades or glides in it: each look would wait for that."""
    return browser.new_context(**{"viewport": WIDE, "reduced_motion": "reduce", **options}).new_page()


class Watched:
    """A page whose console and failed requests are kept."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))

    def complaints(self) -> list[str]:
        """What the console said since the last call, except the browser's own line about an error page's status."""
        said, self.said = self.said, []
        return [line for line in said if "the server responded with a status of" not in line]

    def faults(self, what: str) -> list[str]:
        """What is wrong with the page as it stands, light, dark and on a phone, and what its console said."""
        self.follow_system("light")
        found = [f"{what}, light: {finding}" for finding in self.axe_findings()]
        self.follow_system("dark")
        found += [f"{what}, dark: {finding}" for finding in self.axe_findings(only_colours=True)]
        self.page.set_viewport_size(PHONE)
        if self.scrolls_sideways():
            found.append(f"{what}: scrolls sideways on a phone")
        self.page.set_viewport_size(WIDE)
        return found + [f"{what}: {line}" for line in self.complaints()]

    def axe_findings(self, *, only_colours: bool = False) -> list[str]:
        """What axe finds on the page as it stands; it comes in by the debugger, past the page's own policy.

        `only_colours` leaves out what does not change with the theme.
        """
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text("utf-8"))
        result: Any = self.page.evaluate(COLOURS if only_colours else EVERYTHING)
        return [
            f"{rule['id']}: {node['target']} {node.get('failureSummary', '')[:200]}"
            for rule in result["violations"]
            for node in rule["nodes"]
        ]

    def follow_system(self, theme: str) -> None:
        """Let the system be light or dark, and wait until the page is."""
        self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # its stubs want a Literal
        self.page.evaluate(FOLLOWED, theme)

    def scrolls_sideways(self) -> bool:
        """Whether the page is wider than the window, once what is drawn by script has taken its new size."""
        return bool(self.page.evaluate(WIDER))
