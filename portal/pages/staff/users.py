"""/staff/users/<id>: the masked record, the usage, and why a call was refused."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.insight.user_usage import latest_refusals, refusal_list, refusal_story, user_usage
from portal.support.record import open_record
from portal.usage.history import last_days, last_months
from portal.web.charts import days_chart
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import span_of

blueprint = Blueprint("users", __name__, url_prefix="/users")


@blueprint.get("/<uuid:user_id>")
@requires(Capability.USER_FIND)
def show(user_id: UUID) -> ResponseReturnValue:
    """What this level may see of the user."""
    record = open_record(actor(), user_id)
    return render_template("staff/users/show.html", record=record, latest=latest_refusals(actor(), user_id))


@blueprint.get("/<uuid:user_id>/days.json")
@requires(Capability.USER_FIND)
def days(user_id: UUID) -> dict[str, Any]:
    """The last 30 days for the chart."""
    return days_chart(last_days(actor(), user_id))


@blueprint.get("/<uuid:user_id>/usage")
@requires(Capability.USER_FIND)
def usage(user_id: UUID) -> ResponseReturnValue:
    """What the user used, as far as the desk sees it."""
    return render_template("staff/users/usage.html", usage=user_usage(actor(), user_id, span=span_of()))


@blueprint.get("/<uuid:user_id>/months.json")
@requires(Capability.USER_FIND)
def months(user_id: UUID) -> dict[str, Any]:
    """The last 12 months for the chart."""
    return days_chart(last_months(actor(), user_id))


@blueprint.get("/<uuid:user_id>/refusals")
@requires(Capability.USER_FIND)
def refusals(user_id: UUID) -> ResponseReturnValue:
    """The user's refused calls of the last 30 days."""
    listed = refusal_list(actor(), user_id, request.args.get("cursor"))
    return render_template("staff/users/refusals.html", listed=listed)


@blueprint.get("/<uuid:user_id>/refusals/<uuid:decision_id>")
@requires(Capability.USER_FIND)
def refusal(user_id: UUID, decision_id: UUID) -> ResponseReturnValue:
    """Why this call of the user was refused."""
    return render_template("staff/users/refusal.html", story=refusal_story(actor(), user_id, decision_id))
