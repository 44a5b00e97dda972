"""kill -9 of the server, two hundred rounds at named points and forty at any moment: every answered record is there
once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from portal.core.settings import Settings
from tests.conftest import Machine
from tests.faults.dying import POINTS
from tests.faults.killing import SETTINGS, die_at, finish
from tests.faults.pushing import Ledger, kill_rounds
from tests.people import make_account
from tests.servers import Server, free_port
from tests.valkey import keeping_valkey

# On each of two spools and two databases.
ROUNDS = 50
ROUNDS_ANYWHERE = 5
PUSHES = 1000


@pytest.fixture(params=["file", "redis"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Each spool, with a Valkey of its own where it wants one."""
    with ExitStack() as stack:
        given = {"spool": request.param}
        if request.param == "redis":
            given["redis_url"] = stack.enter_context(keeping_valkey(tmp_path / "valkey")).url
        yield given


@pytest.fixture
def token(app: object, machine: Callable[..., Machine]) -> str:
    """The token of a client that pushes what Alice says."""
    make_account("alice")
    return machine("logs:write").token or ""


@pytest.fixture
def server(settings: Settings) -> Server:
    """A server on the data of the test, not yet started."""
    given = {"DATABASE_URL": settings.database_url, "SPOOL": settings.spool, "REDIS_URL": settings.redis_url}
    return Server(settings.data_dir, {**given, **SETTINGS}, port=free_port())


def test_killed_at_each_point_in_turn(server: Server, token: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    die_at(server, token, ledger, [POINTS[turn % len(POINTS)] for turn in range(ROUNDS)])
    finish(server, token, ledger)


@pytest.mark.parametrize("durability", ["power", "process"])
def test_killed_at_any_moment(server: Server, token: str, tmp_path: Path, durability: str) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    server.settings |= {"DURABILITY": durability, "FLUSH_MAX_ROWS": "0"}
    kill_rounds(server, token, ledger, rounds=ROUNDS_ANYWHERE, pushes=PUSHES)
    finish(server, token, ledger)
