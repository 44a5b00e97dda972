"""/admin/users/<id>/record: a user's record as a file."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.web.gates import requires
from portal.web.record_pages import take_page
from portal.web.view_pages import CONSOLE

blueprint = Blueprint("record", __name__, url_prefix="/users/<uuid:user_id>/record")


@blueprint.route("", methods=["GET", "POST"])
@requires(Capability.RECORD_EXPORT)
def index(user_id: UUID) -> ResponseReturnValue:
    """Say why; the file is the answer."""
    return take_page(CONSOLE, user_id)
