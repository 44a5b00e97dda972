"""A client that pushes records, and what came of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from portal.accounts.models import Account
from portal.core.settings import Settings
from portal.messages.spool import FileSpool, spool_of
from tests.conftest import Machine
from tests.people import make_account


@pytest.fixture
def alice(app: object) -> Account:
    """Somebody who talks."""
    return make_account("alice")


@pytest.fixture
def gate(alice: Account, machine: Callable[..., Machine]) -> Machine:
    """A client with every scope."""
    return machine()


@pytest.fixture
def push(gate: Machine) -> Callable[..., list[tuple[str, str | None]]]:
    """Push records of Alice: `push({"id": "a", "prompt": "hello"}, …)` answers (status, error) of each."""

    def send(*records: Any) -> list[tuple[str, str | None]]:
        answer = gate.post("/message-logs", {"records": list(records)})
        assert answer.status_code == 202, answer.text
        said = answer.get_json()
        results = [(result["status"], result["error"]) for result in said["results"]]
        for status in ("accepted", "duplicate", "rejected"):
            assert said[status] == sum(one == status for one, _ in results)
        return results

    return send


@pytest.fixture
def spool(settings: Settings) -> FileSpool:
    """The spool of this process for this test."""
    return spool_of(settings)


def record(**fields: Any) -> dict[str, Any]:
    """A record of Alice's, as a client writes it."""
    return {"username": "alice", "messages": [{"role": "user", "content": "hello"}], **fields}
