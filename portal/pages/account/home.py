"""/account: today at a glance. Staff and admins, who have no limit, see their profile there."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.keys.service import own_keys
from portal.messages.reading import own_conversations
from portal.usage.history import day_held_until, last_days, standing
from portal.usage.limits import limits_of
from portal.web.charts import days_chart
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("home", __name__)


@blueprint.get("")
def index() -> ResponseReturnValue:
    """Limit, credits, reset, the last 30 days, recent conversations, key health."""
    who = actor()
    if who.id is None or not who.may(Capability.OWN_USAGE):
        return redirect(url_for("account.profile.index"))
    return render_template(
        "account/home/index.html",
        standing=standing(who, who.id),
        limits=limits_of(who, who.id),
        held_until=day_held_until(who, who.id),
        days=last_days(who, who.id),
        keys=[key for key in own_keys(who) if key.state in {"active", "replaced"}],
        conversations=own_conversations(who).items[:5],
    )


@blueprint.get("/days.json")
@requires(Capability.OWN_USAGE)
def days() -> ResponseReturnValue:
    """The last 30 days for the chart."""
    who = actor()
    return days_chart(last_days(who, who.id)) if who.id else ({}, 404)
