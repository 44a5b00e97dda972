"""kill -9 of the server during 2,000 pushes, ten rounds: every acknowledged record is there once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from portal.core.settings import Settings
from portal.messages.flush import flush
from tests.conftest import Machine
from tests.faults.pushing import Ledger, check, kill_rounds, pushing
from tests.people import make_account
from tests.servers import Server, free_port

ROUNDS = 10
PUSHES = 2000


@pytest.mark.parametrize("durability", ["power", "process"])
def test_every_acknowledged_record_is_there_once(
    settings: Settings, machine: Callable[..., Machine], tmp_path: Path, durability: str
) -> None:
    make_account("alice")
    token = machine("logs:write").token or ""
    given = {"DATABASE_URL": settings.database_url, "FLUSH_INTERVAL_S": "1", "DURABILITY": durability}
    server, ledger = Server(settings.data_dir, given, port=free_port()), Ledger(tmp_path / "ledger.jsonl")
    kill_rounds(server, token, ledger, rounds=ROUNDS, pushes=PUSHES)
    server.start()
    try:
        sent, _ = ledger.read()
        with pushing(server, token, ledger, sorted(sent)):
            pass
    finally:
        server.stop()
    flush()
    check(ledger)
    sent, answered = ledger.read()
    assert sent == answered
    assert len(sent) > ROUNDS * PUSHES // 4
