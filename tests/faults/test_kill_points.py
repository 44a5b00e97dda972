"""kill -9 at named points between a push and its row, on both spools and both databases: none lost, none doubled.

Five rounds here; two hundred, with every point on each, in tests/long/messages/test_kill.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from portal.core.settings import Settings
from tests.conftest import Machine
from tests.faults.killing import SETTINGS, die_at, finish
from tests.faults.pushing import Ledger
from tests.people import make_account
from tests.servers import Server, free_port
from tests.valkey import keeping_valkey

ROUNDS = [
    ("sqlite", "file", ["after acknowledge", "mid-flush"]),
    ("postgresql", "file", ["after commit before trim"]),
    ("sqlite", "redis", ["after commit before trim"]),
    ("postgresql", "redis", ["after append"]),
]


@pytest.fixture
def setting(spool: str, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The spool of the round, with a Valkey of its own where it wants one."""
    with ExitStack() as stack:
        given = {"spool": spool}
        if spool == "redis":
            given["redis_url"] = stack.enter_context(keeping_valkey(tmp_path / "valkey")).url
        yield given


@pytest.mark.slow
@pytest.mark.parametrize(("database_url", "spool", "points"), ROUNDS, indirect=["database_url"])
def test_killed_at_a_named_point_nothing_is_lost_or_doubled(
    settings: Settings, machine: Callable[..., Machine], tmp_path: Path, spool: str, points: list[str]
) -> None:
    make_account("alice")
    token = machine("logs:write").token or ""
    given = {"DATABASE_URL": settings.database_url, "SPOOL": spool, "REDIS_URL": settings.redis_url, **SETTINGS}
    server, ledger = Server(settings.data_dir, given, port=free_port()), Ledger(tmp_path / "ledger.jsonl")
    die_at(server, token, ledger, points)
    finish(server, token, ledger)
