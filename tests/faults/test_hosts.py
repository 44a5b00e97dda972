"""Two hosts over one stream and one database: both flush at once, one is killed meanwhile, and each record is there
once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.pushing import Ledger, pushing, settle
from tests.servers import Server, free_port
from tests.valkey import keeping_valkey

PUSHES = 200


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A stream that both can reach."""
    with keeping_valkey(tmp_path / "valkey") as valkey:
        yield {"spool": "redis", "redis_url": valkey.url}


@pytest.mark.slow
def test_two_hosts_flush_one_stream(
    server: Server, token: str, ledger: Ledger, setting: dict[str, Any], tmp_path: Path
) -> None:
    server.settings |= {"SPOOL": "redis", "REDIS_URL": setting["redis_url"], "FLUSH_MAX_ROWS": "10"}
    # Hosts share the secrets of the service, and no folder.
    secrets = server.data_dir / "secrets.json"
    other = Server(tmp_path / "other", server.settings, port=free_port())
    other.data_dir.mkdir()
    (other.data_dir / "secrets.json").write_bytes(secrets.read_bytes())
    mine, theirs = ([f"r{host}-{number}" for number in range(PUSHES)] for host in range(2))
    server.start()
    other.start()
    try:
        with pushing(server, token, ledger, mine), pushing(other, token, ledger, theirs):
            ledger.wait_for_answers(PUSHES)
            other.kill()
        # What it took and did not finish is given to it again.
        other.start()
        assert other.stop() == 0, other.output
        settle(server, token, ledger)
    finally:
        for host in (server, other):
            host.kill()
