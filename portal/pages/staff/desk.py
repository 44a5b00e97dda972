"""/staff: find the person who is calling, or the call that was refused."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.support.record import MOST_HITS, search_desk
from portal.usage.refusal_reading import find_refusal, was_allowed
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import typed

blueprint = Blueprint("desk", __name__)


@blueprint.get("")
@requires(Capability.USER_FIND)
def index() -> ResponseReturnValue:
    """One search box; a single exact hit opens its record, a decision id the refusal it names."""
    search = typed("q", most=1000).strip()
    allowed = bool(search) and was_allowed(search)
    told = find_refusal(actor(), search) if search and not allowed else None
    if told is not None:
        return redirect(url_for("staff.users.refusal", user_id=told.user_id, decision_id=told.id))
    hits = search_desk(actor(), search) if search and not allowed else []
    if len(hits) == 1 and search.casefold() in {hits[0].username.casefold(), str(hits[0].id)}:
        return redirect(url_for("staff.users.show", user_id=hits[0].id))
    return render_template("staff/desk/index.html", q=search, hits=hits, most=MOST_HITS, allowed=allowed)
