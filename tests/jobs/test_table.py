"""The table of jobs: each can be run by name, and says in one line what came of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from portal.core import clock
from portal.jobs.runner import run_job
from portal.jobs.table import JOBS
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import make_account
from tests.visitor import Visitor

SAYS = {
    "reset_daily_limits": r"closed 0",
    "close_idle_cases": r"closed 0, back into the queue 0",
    "seal_audit": r"sealed \d+",
    "archive_audit": r"moved 0",
    "forget_sessions": r"sessions 0, browsers 0, tokens 0",
    "flush_message_logs": r"stored 0, duplicate 0, quarantined 0",
    "seal_message_logs": r"sealed 0 logs, 0 titles, 0 lines",
    "check_health": r"database ok, spool ok, disk ok, .*",
    "count_figures": r"counted",
    "begin_plans": r"began 0",
    "turn_months": r"turned 0",
    "reconcile_credits": r"compared 0, differ 0, by 0 credits",
    "count_usage": r"counted",
    "warn_users": r"told 0, mailed 0",
    "forget_refusals": r"forgot 0",
    "forget_tries": r"forgot 0",
    "forget_warnings": r"forgot 0",
    "forget_leases": r"leases 0, refunds 0",
    "end_leases": r"ended 0, lost 0",
    "forget_kept_answers": r"forgot 0",
    "tell_expiring_keys": r"told 0",
    "do_long_works": r"did 0",
    "drop_exports": r"dropped 0",
    "purge_message_logs": r"purged the words of 0, whole logs 0, quarantined 0, openings 0",
    "close_accounts": r"closed 0",
    "purge_deleted_users": r"purged 0",
    "tidy_status_checks": r"dropped 0",
    "forget_mails": r"forgot 0",
    "tidy_links": r"links 0, names 0",
    "send_mail": r"sent 0, failed 0",
}


@pytest.mark.parametrize("name", JOBS)
def test_every_job_runs_by_hand_on_an_empty_house_and_says_what_came_of_it(app: Doorward, name: str) -> None:
    run = run_job(name, by_hand=True)
    assert run is not None
    assert run.outcome == "done"
    assert re.fullmatch(SAYS[name], run.summary)


def test_an_admin_sees_every_job_and_runs_one(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    page = ada.get("/admin/jobs")
    for job in JOBS.values():
        assert job.name in page.text
        assert str(job.sentence) in page.text
    page = ada.send(page, to="/admin/jobs/send_mail/run")
    assert "send_mail: sent 0, failed 0" in page.text
    assert ada.get("/admin/jobs/no_such_job").status == 404


def test_a_day_that_is_over_is_closed_once(
    app: Doorward, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    assert machine().post("/keys/verify", {"key": key_of(make_account("alice"))}).get_json()["valid"]
    clock.shift(timedelta(days=2))
    summaries = [run.summary for run in (run_job("reset_daily_limits", by_hand=True) for _ in range(2)) if run]
    assert summaries == ["closed 1", "closed 0"]


def test_what_was_pushed_is_flushed(app: Doorward, machine: Callable[..., Machine]) -> None:
    has_work = JOBS["flush_message_logs"].has_work
    assert has_work is not None
    assert not has_work()
    make_account("alice")
    machine().post("/message-logs", {"username": "alice", "prompt": "Hello"})
    assert has_work()
    run = run_job("flush_message_logs", by_hand=True)
    assert run is not None
    assert run.summary == "stored 1, duplicate 0, quarantined 0"
    assert not has_work()
