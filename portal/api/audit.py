"""/api/v1/audit: who did what, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from portal.api.audit_shapes import AuditPage, AuditQuery
from portal.api.describing import describes
from portal.api.lists import asked_instant, asked_limit, check_filters
from portal.audit.events import EVENTS
from portal.audit.exporting import told_entry
from portal.audit.reading import AuditFilter, list_entries
from portal.core.access import Capability
from portal.core.errors import Invalid
from portal.core.text import gettext
from portal.web.audit_filters import id_of
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import json_response

if TYPE_CHECKING:
    from uuid import UUID

blueprint = Blueprint("audit", __name__, url_prefix="/audit")


@blueprint.get("")
@requires(Capability.AUDIT_READ)
@describes({200: AuditPage}, query=AuditQuery)
def entries() -> Response:
    """Entries of the audit log, newest first. `actor` and `target` are ids, or usernames of accounts."""
    check_filters("actor", "target", "event", "from", "to", "request_id", "case", "address", "result")
    wanted = AuditFilter(
        event=_event(),
        actor_id=_id("actor"),
        target_id=_id("target"),
        request_id=_words("request_id", 64),
        case=_words("case", 40),
        address=_words("address", 45),
        result=_words("result", 10),
        since=asked_instant("from"),
        until=asked_instant("to"),
    )
    page = list_entries(actor(), wanted, request.args.get("cursor"), size=asked_limit())
    return json_response({"items": [told_entry(entry) for entry in page.items], "next_cursor": page.next_cursor})


def _event() -> str | None:
    given = request.args.get("event")
    if given is not None and given not in EVENTS:
        raise Invalid({"/event": gettext("There is no such event.")})
    return given


def _id(name: str) -> UUID | None:
    given = request.args.get(name)
    if given is None:
        return None
    known = id_of(given[:200])
    if known is None:
        raise Invalid({"/" + name: gettext("Nobody has this id or name.")})
    return known


def _words(name: str, most: int) -> str | None:
    given = request.args.get(name)
    if given is not None and (not given or len(given) > most or "\0" in given):
        raise Invalid({"/" + name: gettext("At most %(most)s characters.", most=most)})
    return given
