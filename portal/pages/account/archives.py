"""/account/archives: have everything held about oneself put into one file, watch that, fetch it, delete it."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.core.text import gettext
from portal.privacy.own_data import (
    ask_for_own_data,
    drop_archive,
    link_to_archive,
    open_archive,
    own_archive,
    stop_archive,
)
from portal.web.gates import Standing, open_while, requires
from portal.web.identity import actor
from portal.web.streaming import pieces_of, stream_file

blueprint = Blueprint("archives", __name__, url_prefix="/archives")


@blueprint.post("")
@open_while(Standing.CLOSING)
@requires(Capability.OWN_DATA)
def ask() -> ResponseReturnValue:
    """Have one made."""
    work = ask_for_own_data(actor())
    return redirect(url_for("account.archives.show", work_id=work.id))


@blueprint.get("/<uuid:work_id>")
@open_while(Standing.CLOSING)
@requires(Capability.OWN_DATA)
def show(work_id: UUID) -> ResponseReturnValue:
    """How far it is, and the link to the file once there is one."""
    who = actor()
    work = own_archive(who, work_id)
    return render_template("account/archives/show.html", work=work, link=link_to_archive(who, work))


@blueprint.get("/<uuid:work_id>/file")
@open_while(Standing.CLOSING)
@requires(Capability.OWN_DATA)
def fetch(work_id: UUID) -> ResponseReturnValue:
    """The file, for whoever asked for it."""
    found = open_archive(actor(), work_id, request.args.get("link", "")[:200])
    return stream_file(pieces_of(found.file), name=found.name, media_type=found.media_type, size=found.size)


@blueprint.post("/<uuid:work_id>/stop")
@open_while(Standing.CLOSING)
@requires(Capability.OWN_DATA)
def stop(work_id: UUID) -> ResponseReturnValue:
    """Stop it; what was written goes away."""
    stop_archive(actor(), work_id)
    flash(gettext("It is being stopped. What was written of it goes away."), "green")
    return redirect(url_for("account.archives.show", work_id=work_id))


@blueprint.post("/<uuid:work_id>/delete")
@open_while(Standing.CLOSING)
@requires(Capability.OWN_DATA)
def delete(work_id: UUID) -> ResponseReturnValue:
    """Delete it and its file."""
    drop_archive(actor(), work_id)
    flash(gettext("The archive and its file are deleted."), "green")
    return redirect(url_for("account.data.index"))
