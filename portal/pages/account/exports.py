"""/account/exports: take one's conversations away as a file; watch a large one being made, fetch it, delete it."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.core.text import gettext
from portal.messages.exporting import (
    drop_export,
    export_own_logs,
    link_to_export,
    open_export,
    own_export,
    own_exports,
    stop_export,
)
from portal.web.export_forms import ExportForm, filters_in_address, wanted_logs
from portal.web.forms import told_beside
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.streaming import pieces_of, stream_file

blueprint = Blueprint("exports", __name__, url_prefix="/exports")


@blueprint.get("")
@requires(Capability.OWN_EXPORTS, Capability.LOG_CONTENT)
def index() -> ResponseReturnValue:
    """The large ones: being made, and made."""
    return render_template("account/exports/index.html", exports=own_exports(actor()))


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Capability.OWN_EXPORTS)
def new() -> ResponseReturnValue:
    """Choose what; a small one is the answer itself, a large one is made while one waits elsewhere."""
    form = ExportForm(**filters_in_address())
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            made = export_own_logs(actor(), wanted_logs(form), form.format.data)
        if attempt.done and made.pieces is not None:
            return stream_file(made.pieces, name=made.name, media_type=made.media_type)
        if attempt.done and made.work is not None:
            return redirect(url_for("account.exports.show", work_id=made.work.id))
    return render_template("account/exports/new.html", form=form), 422 if form.is_submitted() else 200


@blueprint.get("/<uuid:work_id>")
@requires(Capability.OWN_EXPORTS, Capability.LOG_CONTENT)
def show(work_id: UUID) -> ResponseReturnValue:
    """How far it is, and the link to the file once there is one."""
    who = actor()
    work = own_export(who, work_id)
    return render_template("account/exports/show.html", work=work, link=link_to_export(who, work))


@blueprint.get("/<uuid:work_id>/file")
@requires(Capability.OWN_EXPORTS, Capability.LOG_CONTENT)
def fetch(work_id: UUID) -> ResponseReturnValue:
    """The file, for whoever asked for it."""
    found = open_export(actor(), work_id, request.args.get("link", "")[:200])
    return stream_file(pieces_of(found.file), name=found.name, media_type=found.media_type, size=found.size)


@blueprint.post("/<uuid:work_id>/stop")
@requires(Capability.OWN_EXPORTS, Capability.LOG_CONTENT)
def stop(work_id: UUID) -> ResponseReturnValue:
    """Stop it; what was written goes away."""
    stop_export(actor(), work_id)
    flash(gettext("It is being stopped. What was written of it goes away."), "green")
    return redirect(url_for("account.exports.show", work_id=work_id))


@blueprint.post("/<uuid:work_id>/delete")
@requires(Capability.OWN_EXPORTS, Capability.LOG_CONTENT)
def delete(work_id: UUID) -> ResponseReturnValue:
    """Delete it and its file."""
    drop_export(actor(), work_id)
    flash(gettext("The export and its file are deleted."), "green")
    return redirect(url_for("account.exports.index"))
