"""/account/keys: make, name, revoke."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.core import settings
from portal.core.access import Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.keys.service import create_key, own_key, own_keys, rename_key, revoke_key
from portal.web.forms import told_beside
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("keys", __name__, url_prefix="/keys")


class KeyForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """The name of a key."""

    name = StringField(
        words("Name"),
        [InputRequired(words("Give the key a name, so that you know it again.")), Length(max=60)],
    )


@blueprint.get("")
@requires(Capability.OWN_KEYS)
def index() -> ResponseReturnValue:
    """All own keys."""
    return render_template("account/keys/index.html", keys=own_keys(actor()))


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Capability.OWN_KEYS)
def new() -> ResponseReturnValue:
    """Make a key; it is shown in this answer and never again."""
    form = KeyForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            made = create_key(actor(), name=form.name.data)
        if attempt.done:
            page = render_template(
                "account/keys/made.html",
                key=made.key,
                secret=made.secret,
                site_url=settings.current().site_url,
            )
            return page, 201
    return render_template("account/keys/new.html", form=form), 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:key_id>", methods=["GET", "POST"])
@requires(Capability.OWN_KEYS)
def show(key_id: UUID) -> ResponseReturnValue:
    """One key; its name can be changed here."""
    key = own_key(actor(), key_id)
    form = KeyForm(name=key.name)
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            rename_key(actor(), key_id, form.name.data)
        if attempt.done:
            flash(gettext("The key has its new name."), "green")
            return redirect(url_for("account.keys.show", key_id=key_id))
    page = render_template("account/keys/show.html", key=own_key(actor(), key_id), form=form)
    return page, 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:key_id>/revoke", methods=["GET", "POST"])
@requires(Capability.OWN_KEYS)
def revoke(key_id: UUID) -> ResponseReturnValue:
    """Say what will happen, then revoke."""
    form = FlaskForm()
    if form.validate_on_submit():
        revoke_key(actor(), key_id)
        flash(gettext("The key is revoked. Calls with it are refused from now on."), "green")
        return redirect(url_for("account.keys.index"))
    return render_template("account/keys/revoke.html", key=own_key(actor(), key_id), form=form)
