"""/admin/networks: from where staff and admins may sign in."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired, Length

from portal.core import settings
from portal.core.access import Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.signin.networks import MOST_NOTE, add_network, list_networks, remove_network
from portal.web.forms import told_beside
from portal.web.gates import requires
from portal.web.identity import actor

blueprint = Blueprint("networks", __name__, url_prefix="/networks")


class NetworkForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """A network to allow."""

    kind = SelectField(
        words("Who"), choices=[SelectChoice("admin", words("Admins")), SelectChoice("staff", words("Support staff"))]
    )
    network = StringField(words("Network"), [InputRequired(words("Type an address or a network.")), Length(max=60)])
    note = StringField(words("Note"), [Length(max=MOST_NOTE)])


@blueprint.route("", methods=["GET", "POST"])
@requires(Capability.SETTING_MANAGE)
def index() -> ResponseReturnValue:
    """Both lists, where one is seen to come from, and a form to add."""
    who, form = actor(), NetworkForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            added = add_network(who, form.kind.data, form.network.data, form.note.data or "")
        if attempt.done:
            flash(gettext("%(network)s is on the list, from the next request on.", network=added.network), "green")
            return redirect(url_for("admin.networks.index"))
    page = render_template(
        "admin/networks/index.html",
        form=form,
        allowed=list_networks(who),
        seen=who.address,
        proxies=settings.current().trusted_proxies,
        forwarded="X-Forwarded-For" in request.headers,
    )
    return page, 422 if form.is_submitted() else 200


@blueprint.post("/<uuid:network_id>/remove")
@requires(Capability.SETTING_MANAGE)
def remove(network_id: UUID) -> ResponseReturnValue:
    """Take one off the list."""
    gone = remove_network(actor(), network_id)
    flash(gettext("%(network)s is off the list, from the next request on.", network=gone.network), "green")
    return redirect(url_for("admin.networks.index"))
