"""/admin/deleted: who was deleted, when, why, until when; restore."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.core.text import gettext
from portal.privacy.deletion import list_deleted, restore_user
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("deleted", __name__, url_prefix="/deleted")


@blueprint.get("")
@requires(Capability.USER_DELETE)
def index() -> ResponseReturnValue:
    """Latest first."""
    page, usernames = list_deleted(actor(), request.args.get("cursor"))
    return render_template("admin/deleted/index.html", page=page, usernames=usernames)


@blueprint.post("/<uuid:user_id>/restore")
@requires(Capability.USER_DELETE)
def restore(user_id: UUID) -> ResponseReturnValue:
    """Bring a deleted user back."""
    user = restore_user(actor(), user_id)
    flash(gettext("%(name)s is back. Old sessions and keys stay dead.", name=user.username), "green")
    return redirect(url_for("admin.users.show", user_id=user_id))
