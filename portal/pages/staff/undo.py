"""/staff/undo/<entry>: take back what was done to an account within the last day, from the desk, in a case."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.core.errors import CaseNeeded
from portal.core.text import gettext
from portal.support.undo import look_at_undoing
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.undoing import walk_undoing

blueprint = Blueprint("undo", __name__, url_prefix="/undo")


@blueprint.route("/<uuid:entry_id>", methods=["GET", "POST"])
@requires(Capability.USER_SUSPEND, Capability.PLAN_CHANGE, Capability.CREDIT_ADJUST)
def show(entry_id: UUID) -> ResponseReturnValue:
    """Say what will be, then undo it."""
    try:
        asked = walk_undoing(entry_id)
    except CaseNeeded:  # whose case it takes stands in the entry, not in the address
        user_id = look_at_undoing(actor(), entry_id).account.id
        flash(gettext("Open a case first: say who asks, and what for."), "yellow")
        return redirect(url_for("staff.cases.new", user_id=user_id, next=request.path))
    if asked.done and asked.undoing is not None:
        flash(gettext("It is undone."), "green")
        return redirect(url_for("staff.users.show", user_id=asked.undoing.account.id))
    return render_template("staff/undo/show.html", asked=asked), asked.status
