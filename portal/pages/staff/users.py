"""/staff/users/<id>: the masked record."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.support.record import open_record
from portal.usage.history import last_days
from portal.web.charts import days_chart
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("users", __name__, url_prefix="/users")


@blueprint.get("/<uuid:user_id>")
@requires(Capability.USER_FIND)
def show(user_id: UUID) -> ResponseReturnValue:
    """What this level may see of the user."""
    return render_template("staff/users/show.html", record=open_record(actor(), user_id))


@blueprint.get("/<uuid:user_id>/days.json")
@requires(Capability.USER_FIND)
def days(user_id: UUID) -> ResponseReturnValue:
    """The last 30 days for the chart."""
    return days_chart(last_days(actor(), user_id))
