"""The metrics of what waits: on both spools, until it is stored, and left out where nobody can tell."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from portal.core.settings import Settings
from portal.insight import waiting
from portal.insight.waiting import waiting_now
from portal.messages.flush import flush
from portal.messages.spool import spool_of
from portal.messages.spool_protocol import Entry, line_of
from portal.web.frame import Doorward
from tests.valkey import keeping_valkey

EMPTY = dict.fromkeys(("spool_bytes", "spool_waiting_bytes", "spool_age_seconds", "quarantined_records"), 0.0)
BODY = b'{"no": "record"}'


@pytest.fixture(params=["file", "redis"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Each spool, with a server of its own where it wants one."""
    with ExitStack() as stack:
        given = {"spool": request.param}
        if request.param == "redis":
            given["redis_url"] = stack.enter_context(keeping_valkey(tmp_path / "valkey")).url
        yield given


def numbers(app: Doorward) -> dict[str, float]:
    """What the metrics say of what waits."""
    told = app.test_client().get("/metrics").get_data(as_text=True)
    lines = [line.split() for line in told.splitlines() if line.startswith(("doorward_spool", "doorward_quarantined"))]
    return {name.removeprefix("doorward_"): float(number) for name, number in lines}


def test_what_waits_is_measured_until_it_is_stored(app: Doorward, settings: Settings) -> None:
    assert numbers(app) == EMPTY
    spool = spool_of(settings)
    spool.append([Entry("client", "a", b"digest", BODY)])
    found = numbers(app)
    assert found["spool_bytes"] == found["spool_waiting_bytes"] == len(line_of(BODY))
    assert found["quarantined_records"] == 0
    spool.close()
    flush()
    assert numbers(app) == EMPTY | {"quarantined_records": 1.0}


@pytest.mark.parametrize("setting", ["file"], indirect=True)
def test_a_spool_that_cannot_be_asked_is_left_out(
    app: Doorward, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool_of(settings).close()
    shutil.rmtree(settings.data_dir / "spool", ignore_errors=True)
    (settings.data_dir / "spool").symlink_to("spool")  # to itself: nobody can look into it

    def refuse() -> int:
        raise OperationalError("", None, Exception())

    told = numbers(app)
    assert told in ({}, EMPTY)
    (settings.data_dir / "spool").unlink()
    monkeypatch.setattr(waiting, "count_quarantined", refuse)
    assert waiting_now() is None
