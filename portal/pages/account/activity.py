"""/account/activity: what one did, what was done to the account, and who looked at the record and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.insight.activity import looks_at_me, own_activity
from portal.keys.service import own_keys
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import typed

if TYPE_CHECKING:
    from datetime import datetime

    from portal.keys.models import ApiKey

blueprint = Blueprint("activity", __name__, url_prefix="/activity")


@blueprint.get("")
@requires(Capability.OWN_ACTIVITY)
def index() -> ResponseReturnValue:
    """Sign-ins and changes, newest first."""
    who = actor()
    keys = own_keys(who) if who.may(Capability.OWN_KEYS) else []
    return render_template(
        "account/activity/index.html",
        page=own_activity(who, typed("cursor", most=500) or None),
        keys=sorted((key for key in keys if key.last_used_at), key=_last_use, reverse=True)[:5],
        looks=False,
    )


def _last_use(key: ApiKey) -> datetime:
    return key.last_used_at or key.created_at


@blueprint.get("/looks")
@requires(Capability.OWN_ACTIVITY)
def looks() -> ResponseReturnValue:
    """Who else looked, and why."""
    page = looks_at_me(actor(), typed("cursor", most=500) or None)
    return render_template("account/activity/index.html", page=page, keys=[], looks=True)
