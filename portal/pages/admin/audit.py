"""/admin/audit: who did what."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from portal.audit.events import EVENTS
from portal.audit.reading import AuditFilter, list_entries
from portal.core.access import Capability
from portal.core.ids import parse_id
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import typed

blueprint = Blueprint("audit", __name__, url_prefix="/audit")


@blueprint.get("")
@requires(Capability.AUDIT_READ)
def index() -> ResponseReturnValue:
    """One page of entries, newest first, filtered by event, actor, target or request."""
    event = typed("event") if typed("event") in EVENTS else ""
    wanted = AuditFilter(
        event=event or None,
        actor_id=parse_id(typed("actor")),
        target_id=parse_id(typed("target")),
        request_id=typed("request") or None,
    )
    page = list_entries(actor(), wanted, request.args.get("cursor"))
    return render_template("admin/audit/index.html", page=page, events=EVENTS, event=event, wanted=wanted)
