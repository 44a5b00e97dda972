"""/admin/undo/<entry>: take back what was done to an account within the last day, from the audit log, for a reason."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.accounts.models import Account, Kind
from portal.core.text import gettext
from portal.support.undo import MAY
from portal.web.gates import requires
from portal.web.undoing import walk_undoing

blueprint = Blueprint("undo", __name__, url_prefix="/undo")


def _record_url(account: Account) -> str:
    if account.kind == Kind.STAFF:
        return url_for("admin.staff.show", staff_id=account.id)
    if account.kind == Kind.ADMIN:
        return url_for("admin.admins.show", admin_id=account.id)
    return url_for("admin.users.show", user_id=account.id)


@blueprint.route("/<uuid:entry_id>", methods=["GET", "POST"])
@requires(*MAY)
def show(entry_id: UUID) -> ResponseReturnValue:
    """Say what will be, then undo it."""
    asked = walk_undoing(entry_id)
    if asked.done and asked.undoing is not None:
        flash(gettext("It is undone."), "green")
        return redirect(_record_url(asked.undoing.account))
    url = _record_url(asked.undoing.account) if asked.undoing else url_for("public.home.index")
    return render_template("admin/undo/show.html", asked=asked, record_url=url), asked.status
