"""/admin/clients: service clients and their tokens."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from portal.clients.service import (
    MOST_RATE,
    change_rate,
    client_record,
    create_client,
    disable_client,
    list_clients,
)
from portal.core import settings
from portal.core.access import SCOPES, Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.web.forms import WholeNumberField, told_beside
from portal.web.gates import asks_again, requires
from portal.web.identity import actor

blueprint = Blueprint("clients", __name__, url_prefix="/clients")


class RateForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """How often a client may call."""

    rate_per_minute = WholeNumberField(
        words("Calls a minute"), [Optional(), NumberRange(1, MOST_RATE, words("A whole number from 1 to 1,000,000."))]
    )


class ClientForm(RateForm):
    """A new client."""

    name = StringField(words("Name"), [InputRequired(words("Give the client a name.")), Length(max=80)])
    scopes = SelectMultipleField(words("Scopes"), choices=list(SCOPES))


@blueprint.get("")
@requires(Capability.CLIENT_MANAGE)
def index() -> ResponseReturnValue:
    """All clients."""
    return render_template("admin/clients/index.html", clients=list_clients(actor()))


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Capability.CLIENT_MANAGE)
@asks_again(factor=True)
def new() -> ResponseReturnValue:
    """Make a client; its token is shown in this answer and never again."""
    form = ClientForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            client, token = create_client(
                actor(),
                name=form.name.data,
                scopes=form.scopes.data or [],
                rate_per_minute=form.rate_per_minute.data,
            )
        if attempt.done:
            page = render_template(
                "admin/clients/made.html", client=client, token=token, site_url=settings.current().site_url
            )
            return page, 201
    return render_template("admin/clients/new.html", form=form), 422 if form.is_submitted() else 200


@blueprint.route("/<uuid:client_id>", methods=["GET", "POST"])
@requires(Capability.CLIENT_MANAGE)
@asks_again(factor=True)
def edit(client_id: UUID) -> ResponseReturnValue:
    """Change how often a client may call."""
    client = client_record(actor(), client_id)
    form = RateForm(data={"rate_per_minute": client.rate_per_minute})
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            change_rate(actor(), client_id, form.rate_per_minute.data)
        if attempt.done:
            flash(gettext("Saved. It holds from the next call on."), "green")
            return redirect(url_for("admin.clients.index"))
    page = render_template("admin/clients/edit.html", client=client, form=form)
    return page, 422 if form.is_submitted() else 200


@blueprint.post("/<uuid:client_id>/disable")
@requires(Capability.CLIENT_MANAGE)
def disable(client_id: UUID) -> ResponseReturnValue:
    """End a client for good."""
    client = disable_client(actor(), client_id)
    flash(gettext("%(name)s is disabled; its token is refused from now on.", name=client.name), "green")
    return redirect(url_for("admin.clients.index"))
