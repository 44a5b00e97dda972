"""Jobs: each period once, one runner at a time, what came of it written down; and the clock that starts them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Unavailable
from portal.core.settings import Settings
from portal.core.text import lazy_gettext
from portal.jobs import runner
from portal.jobs.runner import Clock, host_id, run_job
from portal.jobs.table import JOBS, Job
from portal.messages.models import MessageLog
from portal.messages.spool import spool_of
from portal.web.frame import Doorward
from portal.work import locks
from portal.work.locks import LEASE, free_lock, take_lock
from portal.work.models import JobRun
from portal.work.runs import pause_job, recent_runs
from tests.conftest import Machine
from tests.people import make_account
from tests.races import race
from tests.visitor import Visitor

LONG = 10**7
Add = Callable[..., list[float]]


@pytest.fixture
def add_job(monkeypatch: pytest.MonkeyPatch) -> Add:
    """Put a job into the table for one test. Answers the list of its starts."""

    def add(
        name: str = "probe",
        *,
        every_s: int = LONG,
        takes_s: float = 0,
        error: str = "",
        has_work: Callable[[], bool] | None = None,
    ) -> list[float]:
        starts: list[float] = []

        def work() -> str:
            starts.append(clock.monotonic())
            time.sleep(takes_s)
            if error:
                raise RuntimeError(error)
            return f"start {len(starts)}"

        monkeypatch.setitem(JOBS, name, Job(name, lazy_gettext("Probes."), work, every_s, has_work=has_work))
        return starts

    return add  # fmt: skip


def runs(job: str = "probe") -> list[JobRun]:
    """Its run rows, oldest first."""
    db.session.expire_all()
    return list(db.session.scalars(select(JobRun).where(JobRun.job == job).order_by(JobRun.started_at)))


def test_a_period_is_done_once_however_many_ask(app: Doorward, add_job: Add) -> None:
    starts = add_job(takes_s=0.2)

    def ask(_number: int) -> JobRun | None:
        with app.app_context():
            return run_job("probe")

    done = [run for run in race(6, ask) if run is not None]
    assert (len(starts), len(done), done[0].summary) == (1, 1, "start 1")
    assert run_job("probe") is None
    assert [run.outcome for run in runs()] == ["done"]
    clock.shift(timedelta(seconds=LONG))
    again = run_job("probe")
    assert again is not None
    assert again.fence > done[0].fence


def test_a_run_says_when_how_and_what_came_of_it(app: Doorward, add_job: Add) -> None:
    add_job(takes_s=0.1)
    run_job("probe")
    (run,) = runs()
    assert run.finished_at is not None
    assert timedelta(seconds=0.1) <= run.finished_at - run.started_at < timedelta(seconds=10)
    assert (run.outcome, run.summary, run.lock) == ("done", "start 1", "probe")


@pytest.mark.parametrize("error", ["the disk hums", "a NUL \0 in it", "a \udcff alone", "x" * 5000], ids=range(4))
def test_a_job_that_fails_is_recorded_and_runs_again(
    app: Doorward, add_job: Add, capsys: pytest.CaptureFixture[str], error: str
) -> None:
    starts = add_job(error=error)
    run = run_job("probe", by_hand=True)
    assert run is not None
    assert run.outcome == "failed"
    (stored,) = runs()
    assert stored.outcome == "failed"
    assert stored.finished_at is not None
    assert stored.summary.startswith("RuntimeError: " + error[:2])
    assert len(stored.summary) <= 500
    assert run_job("probe", by_hand=True) is not None  # its lock is free
    assert len(starts) == 2


def test_a_failed_job_keeps_nothing_of_what_it_wrote(
    app: Doorward, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> str:
        pause_job(operator_actor(), "other")
        db.session.flush()
        raise RuntimeError("half way")

    monkeypatch.setitem(JOBS, "probe", Job("probe", lazy_gettext("Probes."), work, LONG))
    run_job("probe")
    assert [run.outcome for run in runs()] == ["failed"]
    with transaction():
        pause_job(operator_actor(), "other")  # would be a second row


def test_the_page_tells_of_a_failure(
    person: Callable[..., Visitor], add_job: Add, capsys: pytest.CaptureFixture[str]
) -> None:
    add_job(error="the disk hums")
    ada = person("ada")
    page = ada.send(ada.get("/admin/jobs"), to="/admin/jobs/probe/run")
    assert "probe failed: see its runs." in page.text
    assert "RuntimeError: the disk hums" in page.text
    assert "1 failed" in ada.get("/admin").text


def test_a_lock_held_elsewhere_is_respected_until_its_lease_is_over(app: Doorward, add_job: Add) -> None:
    starts = add_job()
    with transaction():
        take_lock("probe", "a host that died")
    assert run_job("probe") is None
    clock.shift(LEASE - timedelta(seconds=5))
    assert run_job("probe") is None
    assert starts == []
    clock.shift(LEASE + timedelta(seconds=1))
    run = run_job("probe")
    assert run is not None
    assert run.fence == 2


def test_a_paused_job_is_passed_over_by_the_clock_and_not_by_hand(app: Doorward, add_job: Add) -> None:
    starts = add_job()
    with transaction():
        pause_job(operator_actor(), "probe")
    assert run_job("probe") is None
    assert (starts, runs()) == ([], [])
    assert run_job("probe", by_hand=True) is not None
    assert len(starts) == 1


def test_by_hand_runs_as_often_as_asked_and_leaves_the_period_to_the_clock(app: Doorward, add_job: Add) -> None:
    starts = add_job()
    for by_hand in (True, True, False):
        assert run_job("probe", by_hand=by_hand) is not None
    assert len(starts) == 3


def test_by_hand_waits_for_whoever_runs_it_just_now(app: Doorward, add_job: Add) -> None:
    add_job()
    with transaction():
        take_lock("probe", "the clock")

    def end() -> None:
        time.sleep(0.4)
        with app.app_context(), transaction():
            free_lock("probe", "the clock")

    other = threading.Thread(target=end)
    other.start()
    run = run_job("probe", by_hand=True)
    other.join()
    assert run is not None
    assert (run.outcome, run.fence) == ("done", 2)


def test_by_hand_gives_up_after_some_patience(
    person: Callable[..., Visitor], add_job: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "PATIENCE_S", 0.3)
    starts = add_job()
    with transaction():
        take_lock("probe", "the clock")
    ada = person("ada")
    page = ada.send(ada.get("/admin/jobs"), to="/admin/jobs/probe/run")
    assert page.status == 409
    assert "running elsewhere just now" in page.text
    with pytest.raises(Conflict):
        run_job("probe", by_hand=True)
    assert starts == []


def test_two_by_hand_at_once_run_one_after_the_other(app: Doorward, add_job: Add) -> None:
    starts = add_job(takes_s=0.5)

    def ask(_number: int) -> JobRun | None:
        with app.app_context():
            return run_job("probe", by_hand=True)

    assert None not in race(2, ask)
    assert abs(starts[1] - starts[0]) >= 0.5


@pytest.mark.parametrize(("every_s", "hours"), [(5, 2), (300, 7 * 24)])
def test_old_run_rows_go_and_young_ones_stay(app: Doorward, add_job: Add, every_s: int, hours: int) -> None:
    add_job(every_s=every_s)
    add_job("other")
    run_job("probe", by_hand=True)
    run_job("other", by_hand=True)
    clock.shift(timedelta(hours=hours) - timedelta(minutes=1))
    run_job("probe", by_hand=True)
    assert len(runs()) == 2
    clock.shift(timedelta(hours=hours) + timedelta(minutes=1))
    run_job("probe", by_hand=True)
    assert [run.summary for run in runs()] == ["start 2", "start 3"]
    assert len(runs("other")) == 1


def test_a_host_has_one_id_though_ten_ask_for_it_first(app: Doorward, settings: Settings) -> None:
    def ask(_number: int) -> str:
        with app.app_context():
            return host_id()

    first, *rest = race(10, ask)
    assert len(first) == 16
    assert set(rest) == {first}
    assert host_id() == first
    assert [path.name for path in settings.data_dir.glob("host-id*")] == ["host-id"]


def test_workers_that_were_forked_are_different_holders() -> None:
    """Granian forks its workers after the runner was imported; as one holder they would share every lock."""
    told = (
        "import os, sys\nfrom portal.jobs.runner import clock_holder\n"
        "child = os.fork()\n"
        "if child: os.waitpid(child, 0)\n"  # one after the other, or their lines run into each other
        "print(clock_holder(), flush=True)\n"
    )
    said = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60)
    holders = said.stdout.split()
    assert len(holders) == 2
    assert len(set(holders)) == 2


@pytest.fixture
def only_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock has nothing to do but to flush, and what the test adds."""
    for name in set(JOBS) - {"flush_message_logs"}:
        monkeypatch.delitem(JOBS, name)


def wait_for(told: Callable[[], Any]) -> None:
    """Until it is so, ten seconds at most."""
    end = clock.monotonic() + 10
    while not told():
        assert clock.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("setting", [{"flush_interval_s": 300}])
def test_the_clock_starts_runs_a_job_and_flushes_once_more_when_it_stops(
    app: Doorward, only_some: None, add_job: Add, machine: Callable[..., Machine]
) -> None:
    make_account("alice")
    gate, starts, ticking = machine(), add_job(every_s=60), Clock(app)
    ticking.start()
    try:
        wait_for(lambda: starts and [run for run in runs("flush_message_logs") if run.finished_at])
        pushed = gate.post("/message-logs", {"username": "alice", "prompt": "Hello"})
        assert pushed.get_json()["accepted"] == 1
        assert db.session.scalars(select(MessageLog)).all() == []
    finally:
        ticking.stop()
    assert len(db.session.scalars(select(MessageLog)).all()) == 1
    assert [(run.outcome, run.summary) for run in runs()] == [("done", "start 1")]
    with transaction():
        assert take_lock("probe", "the next server") is not None


def test_what_runs_once_an_hour_waits_at_a_start(app: Doorward, only_some: None, add_job: Add) -> None:
    often, rare, ticking = add_job("often", every_s=60), add_job("rare", every_s=3600), Clock(app)
    ticking.start()
    try:
        wait_for(lambda: bool(often))
        due = ticking.scheduler.get_job("rare").next_run_time
    finally:
        ticking.stop()
    assert (rare, due > clock.now() + timedelta(seconds=50)) == ([], True)


def test_jobs_without_work_are_passed_over(app: Doorward, only_some: None, add_job: Add) -> None:
    idle = add_job("idle", every_s=1, has_work=lambda: False)
    busy = add_job("busy", every_s=1, has_work=lambda: True)
    ticking = Clock(app)
    ticking.start()
    try:
        wait_for(lambda: len(busy) >= 3)
    finally:
        ticking.stop()
    assert len(idle) == 1
    assert len(recent_runs(operator_actor(), "idle")) == 1


def test_the_clock_survives_a_job_that_fails(
    app: Doorward, only_some: None, add_job: Add, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = add_job(every_s=1, error="the disk hums")
    ticking = Clock(app)
    ticking.start()
    try:
        wait_for(lambda: len(starts) >= 2)
    finally:
        ticking.stop()
    assert {run.outcome for run in runs()} == {"failed"}


# ---- Long work, early flushes, a bad end --------------------------------------------------------------------------


def test_a_lock_is_held_for_as_long_as_its_work_takes(
    app: Doorward, add_job: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a second process would begin the same work after half a minute."""
    monkeypatch.setattr(runner, "BEAT_S", 0.1)
    monkeypatch.setattr(locks, "LEASE", timedelta(seconds=0.6))
    starts = add_job(takes_s=2)
    working = threading.Thread(target=lambda: in_context(app, lambda: run_job("probe")))
    working.start()
    wait_for(lambda: starts)
    while working.is_alive():
        with transaction():
            taken = take_lock("probe", "another host")
        assert taken is None or not working.is_alive() or runs()[0].finished_at
        if taken is not None:
            break
        time.sleep(0.1)
    working.join()
    assert [run.outcome for run in runs()] == ["done"]


def in_context(app: Doorward, work: Callable[[], Any]) -> None:
    """Do it in a thread that has no context."""
    with app.app_context():
        work()


def test_whoever_lost_the_lock_says_so_and_renews_it_no_more(
    app: Doorward, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "BEAT_S", 0.05)

    def work() -> str:
        with transaction():
            free_lock("probe", runner.clock_holder())
            assert take_lock("probe", "another host") is not None
        time.sleep(0.5)
        return "worked"

    monkeypatch.setitem(JOBS, "probe", Job("probe", lazy_gettext("Probes."), work, LONG))
    run_job("probe")
    with transaction():
        assert take_lock("probe", "another host") is not None


def test_a_database_that_does_not_answer_a_beat_is_asked_again(
    app: Doorward, add_job: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    renew = locks.renew_lock

    def fail_once(name: str, holder: str, fence: int) -> bool:
        asked.append(name)
        if len(asked) == 1:
            raise OperationalError("away", None, Exception())
        return renew(name, holder, fence)

    monkeypatch.setattr(runner, "BEAT_S", 0.05)
    monkeypatch.setattr("portal.jobs.runner.renew_lock", fail_once)
    add_job(takes_s=1)
    run = run_job("probe")
    assert run is not None
    assert len(asked) >= 2


@pytest.mark.parametrize("setting", [{"flush_interval_s": 300, "flush_max_rows": 5}])
def test_so_many_rows_are_flushed_before_the_next_tick(
    app: Doorward, only_some: None, machine: Callable[..., Machine], settings: Settings
) -> None:
    make_account("alice")
    gate, ticking = machine(), Clock(app)
    ticking.start()
    try:
        wait_for(lambda: [run for run in runs("flush_message_logs") if run.finished_at])
        said = {"username": "alice", "prompt": "Hello"}
        gate.post("/message-logs", {"records": [said] * 4})
        time.sleep(0.5)
        assert db.session.scalars(select(MessageLog)).all() == []
        gate.post("/message-logs", {"records": [said] * 2})
        wait_for(lambda: len(db.session.scalars(select(MessageLog)).all()) == 6)
        with transaction():
            pause_job(operator_actor(), "flush_message_logs")
        gate.post("/message-logs", {"records": [said] * 6})
        time.sleep(0.5)
        assert len(db.session.scalars(select(MessageLog)).all()) == 6
    finally:
        ticking.stop()
    assert spool_of(settings).trigger.wake is None


def test_an_early_flush_that_fails_is_tried_again_by_the_clock(
    app: Doorward, only_some: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def work() -> str:
        tried.append(1)
        raise Unavailable

    monkeypatch.setitem(JOBS, "flush_message_logs", Job("flush_message_logs", lazy_gettext("Fails."), work, 300))
    Clock(app)._flush_early()
    assert tried == [1]


@pytest.mark.parametrize("setting", [{"flush_max_rows": 1}])
def test_who_pushed_is_answered_even_if_the_flush_cannot_be_woken(
    app: Doorward, machine: Callable[..., Machine], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_account("alice")
    ticking = Clock(app)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(24, "too many open files")

    monkeypatch.setattr(ticking.scheduler, "add_job", refuse)
    monkeypatch.setattr(spool_of(settings).trigger, "wake", ticking._wake)
    answer = machine().post("/message-logs", {"username": "alice", "prompt": "Hello"})
    assert answer.status_code == 202


@pytest.mark.parametrize("fault", [OSError(28, "no space"), Unavailable(), RuntimeError("what else")])
def test_an_end_goes_on_though_its_flush_fails(
    app: Doorward, only_some: None, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def work() -> str:
        raise fault

    monkeypatch.setitem(JOBS, "flush_message_logs", Job("flush_message_logs", lazy_gettext("Fails."), work, 300))
    ticking = Clock(app)
    with transaction():
        take_lock("probe", runner.clock_holder())
    ticking.stop()
    with transaction():
        assert take_lock("probe", "the next server") is not None


def test_a_spool_that_does_not_answer_postpones_a_job(
    app: Doorward, only_some: None, add_job: Add, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    def ask() -> bool:
        asked.append(1)
        raise Unavailable

    starts = add_job(every_s=1, has_work=ask)
    ticking = Clock(app)
    ticking._ran["probe"] = clock.monotonic()
    ticking._tick("probe")
    assert (asked, starts) == ([1], [])
