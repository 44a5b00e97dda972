"""/admin/audit: who did what; one entry; the chain and its check; the log as a file."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.audit.archive import all_stretches
from portal.audit.events import EVENTS
from portal.audit.exporting import export_entries
from portal.audit.reading import entry_of, list_entries
from portal.audit.roots import latest_roots
from portal.audit.signing import public_key
from portal.audit.verifying import latest_verdict
from portal.core.access import Capability
from portal.core.errors import Invalid
from portal.core.pages import Page
from portal.core.text import gettext
from portal.insight.audit_check import GOING_ON, begin_check, latest_check
from portal.support.undo import can_undo
from portal.web.audit_filters import typed_audit
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.streaming import stream_file

blueprint = Blueprint("audit", __name__, url_prefix="/audit")
SHOWN_ROOTS = 31


@blueprint.get("")
@requires(Capability.AUDIT_READ)
def index() -> ResponseReturnValue:
    """One page of entries, newest first, filtered by a word, event, result, days, actor or target."""
    filters = typed_audit()
    page = Page([], None, None) if filters.nobody else list_entries(actor(), filters.wanted, request.args.get("cursor"))
    return render_template(
        "admin/audit/index.html", page=page, events=EVENTS, filters=filters, verdict=latest_verdict()
    )


@blueprint.get("/<uuid:entry_id>")
@requires(Capability.AUDIT_READ)
def show(entry_id: UUID) -> ResponseReturnValue:
    """All that one entry says."""
    entry = entry_of(actor(), entry_id)
    undoable = bool(can_undo(actor(), [entry]))
    return render_template("admin/audit/show.html", entry=entry, events=EVENTS, undoable=undoable)


@blueprint.post("/export")
@requires(Capability.AUDIT_READ)
def export() -> ResponseReturnValue:
    """What the filter in the address leaves, as a file; that it was taken stands in the log."""
    filters = typed_audit()
    try:
        if filters.nobody:
            raise Invalid({"format": gettext("No entry matches")})
        file = export_entries(actor(), filters.wanted, request.form.get("format", ""))
    except Invalid as error:
        for words in error.fields.values():
            flash(str(words), "red")
        return redirect(f"{url_for('admin.audit.index')}?{urlencode(filters.address)}")
    return stream_file(file.pieces, name=file.name, media_type=file.media_type)


@blueprint.get("/chain")
@requires(Capability.AUDIT_READ)
def chain() -> ResponseReturnValue:
    """How the last check ended, how far one is that goes on, the daily roots, what lies in files."""
    work = latest_check()
    return render_template(
        "admin/audit/chain.html",
        verdict=latest_verdict(),
        work=work,
        going_on=work is not None and work.state in GOING_ON,
        roots=latest_roots(SHOWN_ROOTS),
        stretches=all_stretches()[-SHOWN_ROOTS:],
        key=public_key(),
    )


@blueprint.post("/check")
@requires(Capability.AUDIT_READ)
def check() -> ResponseReturnValue:
    """Have the whole chain checked."""
    begin_check(actor())
    return redirect(url_for("admin.audit.chain"))
