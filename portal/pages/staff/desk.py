"""/staff: find the person who is calling."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.support.record import MOST_HITS, search_desk
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import typed

blueprint = Blueprint("desk", __name__)


@blueprint.get("")
@requires(Capability.USER_FIND)
def index() -> ResponseReturnValue:
    """One search box; a single exact hit opens its record."""
    search = typed("q").strip()
    hits = search_desk(actor(), search) if search else []
    if len(hits) == 1 and search.casefold() in {hits[0].username.casefold(), str(hits[0].id)}:
        return redirect(url_for("staff.users.show", user_id=hits[0].id))
    return render_template("staff/desk/index.html", q=search, hits=hits, most=MOST_HITS)
