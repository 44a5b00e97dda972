"""/admin/timeline/<id>: what happened to a user, as at the desk."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.accounts.directory import user_record
from portal.core.access import Capability
from portal.support.timeline import SORTS, timeline_of
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import typed

blueprint = Blueprint("timeline", __name__, url_prefix="/timeline")


@blueprint.get("/<uuid:user_id>")
@requires(Capability.USER_READ)
def show(user_id: UUID) -> ResponseReturnValue:
    """Notes, changes, sign-ins, refusals and cases, newest first."""
    sort = typed("sort") if typed("sort") in SORTS else ""
    user = user_record(actor(), user_id)
    page = timeline_of(actor(), user_id, typed("cursor", most=500) or None, sort=sort)
    return render_template("admin/timeline/show.html", user=user, page=page, sort=sort, sorts=SORTS)
