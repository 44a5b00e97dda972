"""/staff/history: what one did at the desk."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.support.history import SORTS, own_deeds
from portal.support.undo import can_undo
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import typed

blueprint = Blueprint("history", __name__, url_prefix="/history")


@blueprint.get("")
@requires(Capability.CASE_WORK)
def index() -> ResponseReturnValue:
    """One's own entries of the audit log about users, newest first."""
    sort = typed("sort") if typed("sort") in SORTS else ""
    page = own_deeds(actor(), typed("cursor", most=500) or None, sort=sort)
    open_still = can_undo(actor(), [deed.entry for deed in page.items])
    return render_template("staff/history/index.html", page=page, sort=sort, sorts=SORTS, undoable=open_still)
