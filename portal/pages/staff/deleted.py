"""/staff/deleted: find a deleted user by what they were called exactly, and bring them back."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.core.text import gettext
from portal.privacy.deletion import find_deleted, restore_user, see_deleted
from portal.web.acting import acting_for
from portal.web.deleted_forms import RestoreForm
from portal.web.forms import told_beside
from portal.web.gates import asks_again, requires
from portal.web.identity import actor
from portal.web.lists import typed

blueprint = Blueprint("deleted", __name__, url_prefix="/deleted")


@blueprint.get("")
@requires(Capability.USER_RESTORE)
def index() -> ResponseReturnValue:
    """One box; what was found leads to the preview."""
    search = typed("q", most=400).strip()
    found = find_deleted(actor(), search) if search else None
    if found is not None:
        return redirect(url_for("staff.deleted.show", user_id=found))
    return render_template("staff/deleted/index.html", q=search)


@blueprint.route("/<uuid:user_id>", methods=["GET", "POST"])
@requires(Capability.USER_RESTORE)
@asks_again(factor=True)
def show(user_id: UUID) -> ResponseReturnValue:
    """What would come back and what not; with a reason it does."""
    who = acting_for(user_id)
    deleted = see_deleted(who, user_id)
    form = RestoreForm(reason=who.reason or "")
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            user = restore_user(acting_for(user_id, form.reason.data), user_id)
        if attempt.done:
            flash(gettext("%(name)s is back. Old sessions and keys stay dead.", name=user.username), "green")
            return redirect(url_for("staff.users.show", user_id=user_id))
    page = render_template("staff/deleted/show.html", deleted=deleted, form=form)
    return page, 422 if form.is_submitted() else 200
