"""/admin/status-checks: who is late, and the latest signs of life."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.clients.status_checks import forget_status_client, list_status_checks, signs_of_life
from portal.core import settings
from portal.core.access import Capability
from portal.core.text import gettext
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("status_checks", __name__, url_prefix="/status-checks")


@blueprint.get("")
@requires(Capability.STATUS_READ)
def index() -> ResponseReturnValue:
    """Everybody who posts them, whoever is silent for longest first, and one page of checks."""
    who = actor()
    return render_template(
        "admin/status_checks/index.html",
        signs=signs_of_life(who),
        page=list_status_checks(who, request.args.get("cursor")),
        late_s=settings.current().status_late_s,
    )


@blueprint.post("/forget")
@requires(Capability.CLIENT_MANAGE)
def forget() -> ResponseReturnValue:
    """Wait for signs of life of a name no longer."""
    name = request.form.get("client_name", "").replace("\0", "")[:80]
    forget_status_client(actor(), name)
    flash(gettext("Nobody waits for %(name)s any more.", name=name), "green")
    return redirect(url_for("admin.status_checks.index"))
