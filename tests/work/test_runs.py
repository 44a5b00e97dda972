"""What pages show of jobs: runs, newest first, and pauses with their audit entries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Forbidden
from portal.core.ids import new_id
from portal.web.frame import Doorward
from portal.work.models import JobRun
from portal.work.runs import is_paused, job_states, last_success, latest_run, pause_job, recent_runs
from tests.people import actor_named, make_account
from tests.visitor import Visitor


def add_run(job: str, minutes_ago: int, outcome: str = "done", summary: str = "") -> None:
    """A run that is over."""
    at = clock.now() - timedelta(minutes=minutes_ago)
    with transaction():
        db.session.add(
            JobRun(
                id=new_id(), job=job, lock=job, period=str(minutes_ago), fence=1, started_at=at,
                finished_at=at, outcome=outcome, summary=summary,
            )
        )  # fmt: skip


def test_runs_come_newest_first_and_of_that_job_only(app: Doorward) -> None:
    for minutes in (30, 10, 20):
        add_run("sweep", minutes)
    add_run("other", 1)
    operator = operator_actor()
    assert [run.period for run in recent_runs(operator, "sweep")] == ["10", "20", "30"]
    assert len(recent_runs(operator, "sweep", most=2)) == 2
    newest = latest_run("sweep")
    assert newest is not None
    assert newest.period == "10"
    states = {state.name: state for state in job_states(operator, ["sweep", "never"])}
    assert states["sweep"].last == newest
    assert states["never"].last is None


def test_a_failed_run_is_no_success(app: Doorward) -> None:
    assert last_success("sweep") is None
    add_run("sweep", 5, "failed")
    assert last_success("sweep") is None
    add_run("sweep", 9)
    at = last_success("sweep")
    assert at is not None
    assert clock.now() - at > timedelta(minutes=8)


def test_an_admin_pauses_and_resumes_and_the_audit_says_who(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    page = ada.send(ada.get("/admin/jobs"), to="/admin/jobs/send_mail/pause")
    assert "send_mail is paused" in page.text
    assert is_paused("send_mail")
    assert not is_paused("check_health")
    ada.post("/admin/jobs/send_mail/pause")  # without the form: refused, and nothing happens
    page = ada.send(page, to="/admin/jobs/send_mail/resume")
    assert not is_paused("send_mail")
    written = db.session.scalars(select(AuditEntry).where(AuditEntry.event.startswith("job.")).order_by(AuditEntry.at))
    assert [(entry.event, entry.actor_name, entry.facts) for entry in written] == [
        ("job.paused", "ada", {"job": "send_mail"}),
        ("job.resumed", "ada", {"job": "send_mail"}),
    ]


def test_pausing_twice_leaves_one_entry(app: Doorward) -> None:
    for _ in range(2):
        with transaction():
            pause_job(operator_actor(), "sweep")
    assert len(db.session.scalars(select(AuditEntry)).all()) == 1


def test_who_may_not_run_jobs_may_not_see_or_pause_them(app: Doorward, person: Callable[..., Visitor]) -> None:
    visitor = person("max")
    assert visitor.get("/admin/jobs").status == 403
    make_account("tess")
    for name in ("max", "tess"):
        with pytest.raises(Forbidden):
            pause_job(actor_named(name), "sweep")
    assert not is_paused("sweep")
