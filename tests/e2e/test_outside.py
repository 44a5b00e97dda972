"""In a browser: to a real provider and back under the policy of our pages, with scripts and without; denied; linked."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import Watched, open_page
from tests.e2e.test_every_page import sign_in
from tests.programs import TIED
from tests.servers import Server, free_port, running_server

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
PEOPLE = [
    {"sub": "carol", "email": "carol@example.org", "email_verified": True, "name": "Carol"},
    {"sub": "nameless"},
]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A provider from another workshop, as a program of its own."""
    port = free_port()
    people = [word for one in PEOPLE for word in ("--user-claims", json.dumps(one))]
    command = [sys.executable, "-I", "-c", TIED, "-m", "oidc_provider_mock", "-p", str(port), "-n", "true", *people]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as provider:
        try:
            wait_for(port)
            yield f"http://localhost:{port}"
        finally:
            provider.kill()


def wait_for(port: int) -> None:
    """Until somebody listens there."""
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("the provider did not come up")


@pytest.fixture
def house(tmp_path: Path, issuer: str) -> Iterator[tuple[Server, dict[str, Any]]]:
    """A server that knows the provider, and people with passwords."""
    credentials = tmp_path / "credentials.json"
    client = {"client_id": "doorward", "client_secret": "between-the-two", "makes_accounts": True}
    listed = [
        {"slug": "workshop", "name": "Workshop", "issuer": issuer, **client},
        {"slug": "away", "name": "Away", "issuer": "http://localhost:9", **client},
    ]
    with running_server({"OIDC_PROVIDERS": json.dumps(listed)}) as server:
        server.command("seed", "--users", "3", "--logs", "3", "--credentials", str(credentials))
        yield server, json.loads(credentials.read_text())


def looked_at(watched: Watched, where: str) -> list[str]:
    """What is wrong with the page as it stands, light, dark and on a phone."""
    return but_for_theirs(watched.faults(where))


def but_for_theirs(said: list[str]) -> list[str]:
    """All but what the provider's pages fetch from elsewhere."""
    return [line for line in said if "ERR_NAME_NOT_RESOLVED" not in line]


def go_there(page: Page, base: str, *, to: str = "Workshop") -> None:
    """From the sign-in page to the provider's."""
    page.goto(f"{base}/sign-in?next=/account/keys")
    page.get_by_role("button", name=f"Sign in with {to}").click()


@pytest.mark.parametrize("scripts", [True, False])
def test_there_and_back(browser: Browser, house: tuple[Server, dict[str, Any]], issuer: str, scripts: bool) -> None:
    server, _ = house
    watched = Watched(open_page(browser, java_script_enabled=scripts))
    page = watched.page
    go_there(page, server.url)
    page.wait_for_url(f"{issuer}/**")
    page.get_by_role("button", name="carol").first.click()
    page.wait_for_url(f"{server.url}/account/keys")
    assert "code=" not in page.url
    assert but_for_theirs(watched.complaints()) == []
    page.goto(f"{server.url}/account/providers")
    expect(page.get_by_role("cell", name="carol@example.org")).to_be_visible()


def test_denied_and_away(browser: Browser, house: tuple[Server, dict[str, Any]], issuer: str) -> None:
    server, people = house
    watched = Watched(open_page(browser))
    page = watched.page
    go_there(page, server.url)
    page.wait_for_url(f"{issuer}/**")
    page.get_by_role("button", name="Deny").click()
    # This one leaves the state out of a no (RFC 6749, 4.1.2.1 wants it), so whose answer it is stays open.
    expect(page.get_by_text("Sign in again from the start")).to_be_visible()
    assert page.url == f"{server.url}/sign-in"
    assert looked_at(watched, "denied") == []
    go_there(page, server.url, to="Away")
    expect(page.get_by_text("Away does not answer just now")).to_be_visible()
    go_there(page, server.url)
    page.wait_for_url(f"{issuer}/**")
    page.get_by_role("button", name="nameless").first.click()
    expect(page.get_by_text("is linked with no account here")).to_be_visible()
    sign_in(page, server.url, people["users"][0])


def test_linked_by_the_owner(browser: Browser, house: tuple[Server, dict[str, Any]], issuer: str) -> None:
    server, people = house
    watched = Watched(open_page(browser))
    page = watched.page
    sign_in(page, server.url, people["users"][0])
    page.goto(f"{server.url}/account/providers")
    assert looked_at(watched, "nothing linked") == []
    # The page on the way, held: the provider is not let answer.
    page.route(f"{issuer}/**", lambda route: route.abort("aborted"))
    page.get_by_role("button", name="Link Workshop").click()
    expect(page.get_by_role("heading", name="On to Workshop")).to_be_visible()
    assert looked_at(watched, "leaving") == []
    page.unroute(f"{issuer}/**")
    page.get_by_role("link", name="Go on to Workshop").click()
    page.wait_for_url(f"{issuer}/**")
    page.get_by_role("button", name="carol").first.click()
    page.wait_for_url(f"{server.url}/account/providers/confirm")
    assert looked_at(watched, "confirm") == []
    page.get_by_role("button", name="Link the two").click()
    expect(page.get_by_text("Linked. From now on")).to_be_visible()
    assert looked_at(watched, "linked") == []


def test_in_the_console(browser: Browser, house: tuple[Server, dict[str, Any]], issuer: str) -> None:
    server, people = house
    watched = Watched(open_page(browser))
    page = watched.page
    sign_in(page, server.url, people["admin"])
    page.goto(f"{server.url}/admin/providers")
    assert looked_at(watched, "list") == []
    page.get_by_role("row", name="Workshop").get_by_role("button", name="Try").click()
    expect(page.get_by_text(f"It answers as {issuer}")).to_be_visible()
    page.get_by_role("link", name="New provider").click()
    page.get_by_role("button", name="Add the provider").click()
    expect(page.get_by_text("Please put this right")).to_be_visible()
    assert looked_at(watched, "wrong") == []
    typed = {"Name": "Keycloak", "Short name": "keycloak", "Issuer": f"{issuer}/other", "Client ID": "doorward"}
    for label, value in typed.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Add the provider").click()
    expect(page.get_by_text("Keycloak is added")).to_be_visible()
    assert looked_at(watched, "edit") == []
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_text("Keycloak cannot be used: answered with status 404")).to_be_visible()
