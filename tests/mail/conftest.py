"""A mail server for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.mail.catcher import Catcher, catching


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    """A server that keeps what it is sent."""
    with catching() as caught:
        yield caught


@pytest.fixture
def setting(catcher: Catcher) -> dict[str, Any]:
    """Mail leaves to the catcher."""
    return {"smtp_url": catcher.url, "mail_from": "desk@example.org", "site_url": "https://desk.example.org"}
