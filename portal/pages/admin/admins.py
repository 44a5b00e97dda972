"""/admin/admins: invite admins and set their permissions."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import EmailField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length

from portal.accounts import lifecycle
from portal.accounts.directory import admin_record, list_admins
from portal.core.access import PERMISSIONS, Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.signin.registration import NewPerson, invite_admin
from portal.web.forms import told_beside
from portal.web.gates import asks_again, requires
from portal.web.identity import actor

blueprint = Blueprint("admins", __name__, url_prefix="/admins")


class InviteForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """An admin to invite."""

    username = StringField(words("Username"), [InputRequired(words("Choose a username.")), Length(max=80)])
    email = EmailField(words("E-mail"), [InputRequired(words("Type the e-mail address.")), Length(max=320)])
    display_name = StringField(words("Display name"), [Length(max=80)])
    permissions = SelectMultipleField(words("Permissions"), choices=list(PERMISSIONS))


class PermissionForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Another set of permissions."""

    permissions = SelectMultipleField(words("Permissions"), choices=list(PERMISSIONS))


@blueprint.get("")
@requires(Capability.ADMIN_MANAGE)
def index() -> ResponseReturnValue:
    """All admins."""
    return render_template("admin/admins/index.html", admins=list_admins(actor()))


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Capability.ADMIN_MANAGE)
@asks_again(factor=True)
def new() -> ResponseReturnValue:
    """Invite by mail; without mail the link is shown here, once."""
    form = InviteForm()
    if form.validate_on_submit():
        who = NewPerson(form.username.data, form.email.data, form.display_name.data or "")
        with told_beside(form) as attempt:
            invited = invite_admin(actor(), who, permissions=form.permissions.data or [])
        if attempt.done:
            return render_template("admin/admins/invited.html", account=invited.account, link=invited.link), 201
    return render_template("admin/admins/new.html", form=form), 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:admin_id>", methods=["GET", "POST"])
@requires(Capability.ADMIN_MANAGE)
def show(admin_id: UUID) -> ResponseReturnValue:
    """One admin; the permissions can be changed here."""
    admin = admin_record(actor(), admin_id)
    form = PermissionForm(permissions=admin.permissions)
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            lifecycle.change_permissions(actor(), admin_id, form.permissions.data or [])
        if attempt.done:
            flash(gettext("The permissions are changed, from the next request on."), "green")
            return redirect(url_for("admin.admins.show", admin_id=admin_id))
    page = render_template("admin/admins/show.html", admin=admin_record(actor(), admin_id), form=form)
    return page, 422 if form.is_submitted() else 200
