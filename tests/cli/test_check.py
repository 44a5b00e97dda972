"""`doorward check`: each part in a line, what would lose records, and whether the clock can be believed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from portal import create_app
from portal.core import clock
from portal.core.database import db, dialect_name
from portal.core.settings import load
from portal.insight.clocks import check_clock
from portal.jobs.runner import run_job
from portal.web.frame import Doorward
from tests.cli.conftest import Doorwards
from tests.mail.catcher import catching
from tests.valkey import Valkey, keeping_valkey


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server that keeps what it is given."""
    with keeping_valkey(tmp_path / "valkey") as server:
        yield server


def parts(told: str) -> dict[str, tuple[str, str]]:
    """State and words of each line, by its name."""
    found = {}
    for line in told.splitlines():
        state, name, words = line.split(maxsplit=2)
        found[name.removesuffix(":")] = state, words
    return found


def test_each_part_is_told_and_a_fresh_one_is_ready(doorward: Doorwards) -> None:
    done = doorward("check")
    assert done.exit_code == 0
    found = parts(done.stdout)
    assert {"database", "spool", "disk", "mail", "clock"} <= set(found)
    assert {found[name][0] for name in ("database", "spool", "disk", "clock")} == {"ok"}


def test_a_spool_server_that_would_lose_records_is_warned_of(doorward: Doorwards, valkey: Valkey) -> None:
    env = {"SPOOL": "redis", "REDIS_URL": valkey.url, "DURABILITY": "power"}
    assert parts(doorward("check", **env).stdout)["spool"] == ("ok", "0 bytes held")
    client = valkey.client()
    client.config_set("appendfsync", "everysec")
    client.config_set("maxmemory-policy", "allkeys-lru")
    done = doorward("check", **env)
    assert done.exit_code == 0
    state, words = parts(done.stdout)["spool"]
    assert state == "warning"
    assert "appendfsync everysec" in words
    assert "set noeviction" in words
    client.config_set("appendonly", "no")
    assert "set appendonly yes" in parts(doorward("check", **env).stdout)["spool"][1]


def test_a_spool_server_that_is_away_is_not_ready(doorward: Doorwards, valkey: Valkey) -> None:
    valkey.kill()
    done = doorward("check", SPOOL="redis", REDIS_URL=valkey.url)
    assert done.exit_code == 1
    assert parts(done.stdout)["spool"][0] == "down"
    assert "Traceback" not in done.output


def test_redis_without_its_address_is_a_wrong_setting(doorward: Doorwards) -> None:
    done = doorward("check", SPOOL="redis")
    assert done.exit_code == 2
    assert "SPOOL" in done.stderr


# ---- The clock ----------------------------------------------------------------------------------------------------


def test_a_clock_that_runs_with_the_database_is_believed(app: Doorward) -> None:
    assert check_clock().state == "ok"


@pytest.mark.parametrize("hours", [3, -3])
def test_a_clock_apart_from_the_database_is_warned_of(app: Doorward, hours: int) -> None:
    clock.shift(timedelta(hours=hours))
    part = check_clock()
    if dialect_name() == "postgresql":
        assert part.state == "warning"
        assert f"{3 * 3600} s {'ahead of' if hours > 0 else 'behind'} the database's" in part.words
    else:
        assert part.state == "ok"  # it has no clock but this one


def test_a_clock_that_was_set_back_is_warned_of(app: Doorward) -> None:
    clock.shift(timedelta(seconds=4))  # within what two machines may lie apart
    run_job("flush_message_logs", by_hand=True)
    assert check_clock().state == "ok"
    clock.shift(timedelta(seconds=-3))
    part = check_clock()
    assert part.state == "warning"
    assert "before the latest run of a job" in part.words


def test_without_a_database_it_is_not_known(tmp_path: Path) -> None:
    address = "sqlite:////nowhere/at/all.sqlite3"
    made = create_app(load({}, folder=tmp_path, data_dir=tmp_path, database_url=address, log_level="error"))
    with made.app_context():
        assert check_clock().state == "warning"
        db.session.remove()
        db.engine.dispose()


def test_a_mail_server_is_asked_whether_it_lets_us_in(doorward: Doorwards) -> None:
    assert parts(doorward("check").stdout)["mail"][0] == "warning"
    with catching() as catcher:
        assert parts(doorward("check", SMTP_URL=catcher.url).stdout)["mail"] == ("ok", "leaves by SMTP")
        assert catcher.mails == []
    done = doorward("check", SMTP_URL="smtp://127.0.0.1:1")
    assert done.exit_code == 0, "mail that waits stops nothing else"
    state, words = parts(done.stdout)["mail"]
    assert state == "warning"
    assert "ConnectionRefusedError" in words
