"""/staff/users/<id>/view: see what a user sees, read-only, for a quarter of an hour."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.web.gates import requires
from portal.web.view_pages import DESK, begin_page, end_and_leave, show_page, show_refusal

blueprint = Blueprint("view", __name__, url_prefix="/users/<uuid:user_id>/view")


@blueprint.get("")
@requires(Capability.USER_VIEW_AS)
def index(user_id: UUID) -> ResponseReturnValue:
    """The user's home."""
    return show_page(DESK, user_id, "home")


@blueprint.get("/<page>")
@requires(Capability.USER_VIEW_AS)
def show(user_id: UUID, page: str) -> ResponseReturnValue:
    """Any other page of theirs."""
    return show_page(DESK, user_id, page)


@blueprint.get("/refusals/<uuid:decision_id>")
@requires(Capability.USER_VIEW_AS)
def refusal(user_id: UUID, decision_id: UUID) -> ResponseReturnValue:
    """Why a call of theirs was refused."""
    return show_refusal(DESK, user_id, decision_id)


@blueprint.route("/begin", methods=["GET", "POST"])
@requires(Capability.USER_VIEW_AS)
def begin(user_id: UUID) -> ResponseReturnValue:
    """Say why, and open the pages."""
    return begin_page(DESK, user_id)


@blueprint.post("/end")
@requires(Capability.USER_VIEW_AS)
def end(user_id: UUID) -> ResponseReturnValue:
    """Close the pages again."""
    return end_and_leave(DESK, user_id)
