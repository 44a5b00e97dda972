"""A real server with demo data, and Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium
from tests.servers import Server, running_server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser of this worker."""
    with chromium() as started:
        yield started


@pytest.fixture(autouse=True)
def _close_pages(browser: Browser) -> Iterator[None]:
    """What a test opened is gone with it."""
    yield
    for context in browser.contexts:
        context.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, Any]]]:
    """A server with demo data, and its sign-ins."""
    credentials: Path = tmp_path_factory.mktemp("demo") / "credentials.json"
    with running_server({}) as server:
        server.command("seed", "--users", "120", "--logs", "400", "--credentials", str(credentials))
        server.command("jobs", "run", "count_figures")
        yield server, json.loads(credentials.read_text())
