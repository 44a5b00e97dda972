"""Readiness: 503 when a part is down that matters, a warning for what does not stop the service."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from portal import create_app
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.settings import Settings, load
from portal.insight.models import Figure
from portal.jobs.runner import run_job
from portal.web.frame import Doorward
from tests.people import make_account
from tests.visitor import Visitor

MIB = 1024 * 1024


@pytest.fixture
def setting() -> dict[str, Any]:
    """The smallest spool there can be."""
    return {"spool_max_bytes": MIB}


def ready(app: Doorward) -> tuple[int, dict[str, str], dict[str, str]]:
    """The code of /health/ready, and state and words of each part. The short word and the page agree with it."""
    client = app.test_client()
    answer = client.get("/health/ready")
    parts = answer.get_json()["parts"]
    assert answer.get_json()["status"] == ("ok" if answer.status_code == 200 else "down")
    assert client.get("/health").status_code == answer.status_code
    assert client.get("/health/live").status_code == 200
    states = {name: part["state"] for name, part in parts.items()}
    return answer.status_code, states, {name: part["detail"] for name, part in parts.items()}


def test_all_is_well_once_the_jobs_have_run(app: Doorward) -> None:
    assert ready(app)[1]["jobs"] == "warning"
    run_job("flush_message_logs", by_hand=True)
    code, states, _ = ready(app)
    assert code == 200
    assert states == dict.fromkeys(("database", "spool", "disk", "memory", "jobs", "ledger", "clients"), "ok")


def test_a_full_spool_is_down_and_a_half_full_one_a_warning(
    app: Doorward, settings: Settings, visitor: Visitor
) -> None:
    ready(app)
    left = settings.data_dir / "spool" / "left.spool"
    left.write_bytes(b"x" * (MIB // 2 + 1))
    code, states, _ = ready(app)
    assert (code, states["spool"]) == (200, "warning")
    left.write_bytes(b"x" * MIB)
    code, states, words = ready(app)
    assert (code, states["spool"]) == (503, "down")
    assert "full" in words["spool"]
    down = visitor.get("/status").text
    left.unlink()
    assert ready(app)[0] == 200
    assert visitor.get("/status").text != down


@pytest.mark.parametrize(
    "url", ["sqlite:////nonexistent/doorward.sqlite3", "postgresql+psycopg://nobody@127.0.0.1:1/none"]
)
def test_a_database_that_is_away_is_down_and_only_that(tmp_path: Path, url: str) -> None:
    app = create_app(load({}, folder=tmp_path, data_dir=tmp_path, database_url=url, log_level="error"))
    code, states, _ = ready(app)
    assert code == 503
    assert (states["database"], states["spool"], states["disk"], states["jobs"]) == ("down", "ok", "ok", "warning")
    assert states["ledger"] == "warning"
    assert metrics_of(app) == {}
    page = Visitor(app.test_client()).get("/status")
    assert page.status in {200, 503}


def test_a_disk_that_is_gone_is_down_not_a_fault(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    app = create_app(load({}, folder=tmp_path, data_dir=disk / "data", database_url=f"sqlite:///{tmp_path / 'db'}"))
    shutil.rmtree(disk)
    disk.write_text("a file where the folder was")
    code, states, _ = ready(app)
    assert (code, states["disk"], states["spool"]) == (503, "down", "down")


@pytest.mark.parametrize("setting", [{"memory_limit_mb": 64}])
def test_much_memory_is_a_warning_and_stops_nothing(app: Doorward, setting: dict[str, Any]) -> None:
    code, states, words = ready(app)
    assert (code, states["memory"]) == (200, "warning")
    assert words["memory"].endswith(" of 64 MiB")


def test_late_jobs_are_a_warning_and_stop_nothing(app: Doorward) -> None:
    run_job("flush_message_logs", by_hand=True)
    clock.shift(timedelta(minutes=4))
    assert ready(app)[1]["jobs"] == "ok"
    clock.shift(timedelta(minutes=6))
    code, states, _ = ready(app)
    assert (code, states["jobs"]) == (200, "warning")


def metrics_of(app: Doorward) -> dict[str, float]:
    """The drift as the metrics tell it."""
    lines = app.test_client().get("/metrics").get_data(as_text=True).splitlines()
    return {
        name: float(value) for name, value in (line.split() for line in lines if line.startswith("doorward_credit"))
    }


def test_a_balance_that_differs_from_its_ledger_is_a_warning_that_stops_nothing(app: Doorward) -> None:
    make_account("alice")
    assert ready(app)[2]["ledger"] == "not compared yet"
    assert metrics_of(app) == {}
    run_job("reconcile_credits", by_hand=True)
    assert ready(app)[2]["ledger"].startswith("1 balances agree")
    assert metrics_of(app) == {"doorward_credit_drift": 0, "doorward_credit_drift_balances": 0}
    with transaction():
        db.session.execute(text("UPDATE credit_balances SET own_credits = 7"))
    run = run_job("reconcile_credits", by_hand=True)
    assert run is not None
    assert run.summary == "compared 1, differ 1, by 7 credits"
    code, states, words = ready(app)
    assert (code, states["ledger"]) == (200, "warning")
    assert words["ledger"].startswith("1 of 1 balances differ from their entries, by 7 credits")
    assert metrics_of(app) == {"doorward_credit_drift": 7, "doorward_credit_drift_balances": 1}


def test_a_comparison_that_was_missed_for_days_is_a_warning(app: Doorward) -> None:
    run_job("reconcile_credits", by_hand=True)
    clock.shift(timedelta(days=2))
    assert ready(app)[1]["ledger"] == "ok"
    clock.shift(timedelta(days=4))
    assert ready(app)[1]["ledger"] == "warning"


def test_the_figure_names_whose_balances_differ(app: Doorward) -> None:
    alice = make_account("alice")
    with transaction():
        db.session.execute(text("UPDATE credit_balances SET own_credits = 7"))
    for _ in range(2):
        run_job("reconcile_credits", by_hand=True)
    figure = db.session.get_one(Figure, "credit_drift")
    assert figure.value == {"checked": 1, "count": 1, "sum": 7, "users": [str(alice.id)]}
