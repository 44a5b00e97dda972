"""/admin/jobs: run now, pause, resume."""

from __future__ import annotations

from collections.abc import Callable

from portal.jobs.runner import run_job
from portal.jobs.table import JOBS
from tests.visitor import Visitor

JOB = "/admin/jobs/reset_daily_limits"


def test_every_job_is_listed_and_has_its_page(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    listed = ada.get("/admin/jobs")
    assert {f"/admin/jobs/{name}" for name in JOBS} <= set(listed.links())
    assert ada.get("/admin/jobs/unheard-of").status == 404


def test_a_job_run_now_says_what_came_of_it(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    page = ada.send(ada.get(JOB), to=f"{JOB}/run")
    assert page.path == JOB
    assert "closed 0" in page.text
    assert "Done" in page.text


def test_a_paused_job_is_not_started_by_the_clock(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    listed = ada.send(ada.get("/admin/jobs"), to=f"{JOB}/pause")
    assert "Paused" in listed.text
    assert run_job("reset_daily_limits") is None
    assert "closed 0" in ada.send(ada.get(JOB), to=f"{JOB}/run").text  # by hand it runs
    ada.send(ada.get("/admin/jobs"), to=f"{JOB}/resume")
    assert run_job("reset_daily_limits") is not None
