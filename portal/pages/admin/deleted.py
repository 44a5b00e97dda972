"""/admin/deleted: who was deleted, when, why, until when; restore, or purge at once."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.core.access import Capability
from portal.core.text import gettext
from portal.privacy.deletion import list_deleted, restore_user, see_deleted
from portal.privacy.purging import purge_now
from portal.web.deleted_forms import PurgeForm, RestoreForm
from portal.web.forms import told_beside
from portal.web.gates import asks_again, requires
from portal.web.identity import actor

blueprint = Blueprint("deleted", __name__, url_prefix="/deleted")


@blueprint.get("")
@requires(Capability.USER_DELETE)
def index() -> ResponseReturnValue:
    """Latest first."""
    page, usernames = list_deleted(actor(), request.args.get("cursor"))
    return render_template("admin/deleted/index.html", page=page, usernames=usernames)


@blueprint.route("/<uuid:user_id>/restore", methods=["GET", "POST"])
@requires(Capability.USER_DELETE)
@asks_again(factor=True)
def restore(user_id: UUID) -> ResponseReturnValue:
    """What would come back and what not; with a reason it does."""
    deleted = see_deleted(actor(), user_id)
    form = RestoreForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            user = restore_user(actor().because(form.reason.data), user_id)
        if attempt.done:
            flash(gettext("%(name)s is back. Old sessions and keys stay dead.", name=user.username), "green")
            return redirect(url_for("admin.users.show", user_id=user_id))
    page = render_template("admin/deleted/restore.html", deleted=deleted, form=form)
    return page, 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:user_id>/purge", methods=["GET", "POST"])
@requires(Capability.USER_DELETE)
@asks_again(factor=True)
def purge(user_id: UUID) -> ResponseReturnValue:
    """What goes for good; with a reason and the name typed it does."""
    deleted = see_deleted(actor(), user_id)
    form = PurgeForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            purge_now(actor().because(form.reason.data), user_id, typed_name=form.username.data)
        if attempt.done:
            words = gettext(
                "%(name)s cannot be restored any more. What is left of them goes within minutes.", name=deleted.username
            )
            flash(words, "green")
            return redirect(url_for("admin.deleted.index"))
    page = render_template("admin/deleted/purge.html", deleted=deleted, form=form)
    return page, 422 if form.is_submitted() else 200
