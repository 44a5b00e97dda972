"""/admin/jobs: what ran, when, how long, what came of it; run now; pause."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.core.errors import NotFound
from portal.core.text import gettext
from portal.jobs.runner import run_job
from portal.jobs.table import JOBS
from portal.web.gates import requires
from portal.web.identity import actor
from portal.work.runs import job_states, note_start_by_hand, pause_job, recent_runs, resume_job

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")


def _known(name: str) -> str:
    if name not in JOBS:
        raise NotFound
    return name


@blueprint.get("")
@requires(Capability.JOB_READ)
def index() -> ResponseReturnValue:
    """Every job."""
    return render_template("admin/jobs/index.html", states=job_states(actor(), list(JOBS)), jobs=JOBS)


@blueprint.get("/<name>")
@requires(Capability.JOB_READ)
def show(name: str) -> ResponseReturnValue:
    """The latest runs of one job."""
    job = JOBS[_known(name)]
    return render_template("admin/jobs/show.html", job=job, runs=recent_runs(actor(), name))


@blueprint.post("/<name>/run")
@requires(Capability.JOB_RUN)
def run(name: str) -> ResponseReturnValue:
    """Run it now and say what came of it."""
    done = run_job(_known(name), by_hand=True)
    note_start_by_hand(actor(), name)
    if done is not None and done.outcome == "done":
        flash(gettext("%(name)s: %(summary)s", name=name, summary=done.summary), "green")
    else:
        flash(gettext("%(name)s failed: see its runs.", name=name), "red")
    return redirect(url_for("admin.jobs.show", name=name))


@blueprint.post("/<name>/pause")
@requires(Capability.JOB_RUN)
def pause(name: str) -> ResponseReturnValue:
    """Keep the clock from starting it."""
    pause_job(actor(), _known(name))
    flash(gettext("%(name)s is paused.", name=name), "yellow")
    return redirect(url_for("admin.jobs.index"))


@blueprint.post("/<name>/resume")
@requires(Capability.JOB_RUN)
def resume(name: str) -> ResponseReturnValue:
    """Let the clock start it again."""
    resume_job(actor(), _known(name))
    flash(gettext("%(name)s goes on.", name=name), "green")
    return redirect(url_for("admin.jobs.index"))
