"""/staff/exports: take the conversations of a user away as a file, from the desk, for a reason."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.messages.exporting import export_logs_of, name_to_export
from portal.web.acting import acting_for
from portal.web.export_forms import ReasonedExportForm, filters_in_address, wanted_logs
from portal.web.forms import told_beside
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.streaming import stream_file

blueprint = Blueprint("exports", __name__, url_prefix="/exports")


@blueprint.route("/<uuid:user_id>/new", methods=["GET", "POST"])
@requires(Capability.LOG_CONTENT)
def new(user_id: UUID) -> ResponseReturnValue:
    """Say why, and choose what; a small one is the answer itself, a large one stands among one's own exports."""
    name = name_to_export(actor(), user_id)
    who = acting_for(user_id)
    form = ReasonedExportForm(**filters_in_address())
    if not form.is_submitted():
        form.reason.data = who.reason
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            made = export_logs_of(acting_for(user_id, form.reason.data), user_id, wanted_logs(form), form.format.data)
        if attempt.done and made.pieces is not None:
            return stream_file(made.pieces, name=made.name, media_type=made.media_type)
        if attempt.done and made.work is not None:
            return redirect(url_for("account.exports.show", work_id=made.work.id))
    page = render_template("staff/exports/new.html", form=form, user_id=user_id, name=name)
    return page, 422 if form.is_submitted() else 200
