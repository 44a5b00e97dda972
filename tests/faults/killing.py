"""Rounds of kill -9 at named points, and what has to be true after them."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence
from random import Random

from tests.faults.pushing import Ledger, pushing, settle
from tests.servers import START_TIMEOUT_S, Server, ServerFailed

PUSHES = 120
# Small batches: several flushes in every round.
SETTINGS = {"FLUSH_INTERVAL_S": "1", "FLUSH_MAX_ROWS": "15", "DURABILITY": "power"}
FLUSHING = {"mid-flush", "after commit before trim", "after trim"}


def die_at(server: Server, token: str, ledger: Ledger, points: Sequence[str]) -> None:
    """For each point a round: push what is new and what was not answered before, until the server dies there."""
    chance = Random(len(points))
    server.program = "tests.faults.dying"
    for turn, point in enumerate(points):
        count = chance.randint(1, 4) if point in FLUSHING else chance.randint(1, PUSHES // 4)
        server.settings["DIE_AT"] = f"{point}:{count}"
        sent, answered = ledger.read()
        names = [*sorted(sent - answered), *(f"r{turn}-{number}" for number in range(PUSHES))]
        # What an earlier round left may be flushed, and the server gone, before it answers anybody.
        with contextlib.suppress(ServerFailed):
            server.start()
            with pushing(server, token, ledger, names):
                pass
        try:
            server.process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            raise AssertionError(f"it did not die {point}:\n{server.output}") from None
        assert server.process.returncode == -9, server.output
        server.kill()
    server.program = "portal.cli"
    del server.settings["DIE_AT"]


def finish(server: Server, token: str, ledger: Ledger) -> None:
    """Push everything once more, end in order, and hold the ledger against the database."""
    server.start()
    settle(server, token, ledger)
