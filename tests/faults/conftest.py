"""What the proofs by fault share: a server on the data of the test, and clients with a ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from portal.core.settings import Settings
from tests.conftest import Machine
from tests.faults.pushing import Ledger
from tests.people import make_account
from tests.servers import Server, free_port


@pytest.fixture
def token(app: object, machine: Callable[..., Machine]) -> str:
    """The token of a client that pushes what Alice says."""
    make_account("alice")
    return machine("logs:write", "logs:read").token or ""


@pytest.fixture
def server(settings: Settings) -> Server:
    """A server on the data of the test, not yet started. Every answer outlives a power cut."""
    given = {"DATABASE_URL": settings.database_url, "FLUSH_INTERVAL_S": "1", "DURABILITY": "power"}
    return Server(settings.data_dir, given, port=free_port())


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """The clients' own."""
    return Ledger(tmp_path / "ledger.jsonl")
