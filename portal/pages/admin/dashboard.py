"""/admin: the numbers, live."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.core.text import gettext
from portal.insight.figures import dashboard
from portal.jobs.table import JOBS
from portal.web.charts import seconds_of
from portal.web.gates import requires
from portal.web.identity import actor
from portal.work.runs import job_states

blueprint = Blueprint("dashboard", __name__)


@blueprint.get("")
@requires(Capability.CONSOLE_SEE)
def index() -> ResponseReturnValue:
    """Counts, chart, top users and models, job health."""
    who = actor()
    states = job_states(who, list(JOBS)) if who.may(Capability.JOB_READ) else []
    may_see_users = who.may(Capability.USER_READ)
    return render_template("admin/dashboard/index.html", board=dashboard(who), jobs=states, may_see_users=may_see_users)


@blueprint.get("/days.json")
@requires(Capability.CONSOLE_SEE)
def days() -> dict[str, Any]:
    """The last 30 days for the chart."""
    rows = dashboard(actor()).days
    return {
        "x": [seconds_of(day) for day, _, _ in rows],
        "series": [
            {"label": gettext("Conversations"), "values": [used for _, used, _ in rows]},
            {"label": gettext("Message logs"), "values": [logged for _, _, logged in rows]},
        ],
    }
