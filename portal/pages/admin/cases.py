"""/admin/cases/<user>: what the desk was asked about a user and did, to read."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.accounts.directory import user_record
from portal.core.access import Capability
from portal.core.errors import NotFound
from portal.support.queue import all_cases_of, case_named, open_case_page
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import typed

blueprint = Blueprint("cases", __name__, url_prefix="/cases")


@blueprint.get("/<uuid:user_id>")
@requires(Capability.NOTE_WRITE)
def index(user_id: UUID) -> ResponseReturnValue:
    """All cases about a user, newest first."""
    user = user_record(actor(), user_id)
    page = all_cases_of(actor(), user_id, typed("cursor", most=500) or None)
    return render_template("admin/cases/index.html", user=user, page=page)


@blueprint.get("/<uuid:user_id>/<number>")
@requires(Capability.NOTE_WRITE)
def show(user_id: UUID, number: str) -> ResponseReturnValue:
    """One case of theirs: what was said and done in it."""
    if case_named(actor(), number).user_id != user_id:
        raise NotFound
    return render_template("admin/cases/show.html", seen=open_case_page(actor(), number))
