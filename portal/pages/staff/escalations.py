"""/staff/escalations: the queue, longest waiting first."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from portal.core.access import LEVELS, Capability
from portal.support.queue import waiting_cases
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import typed

blueprint = Blueprint("escalations", __name__, url_prefix="/escalations")


@blueprint.get("")
@requires(Capability.CASE_WORK)
def index() -> ResponseReturnValue:
    """What waits and I may take, or all that waits at one level."""
    level = next((level for level in LEVELS if str(level) == typed("level", most=1)), None)
    page = waiting_cases(actor(), level, request.args.get("cursor"))
    return render_template("staff/escalations/index.html", page=page, level=level, levels=list(LEVELS))
