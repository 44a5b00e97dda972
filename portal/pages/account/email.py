"""/account/email: ask for another e-mail address."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import EmailField
from wtforms.validators import InputRequired, Length

from portal.accounts.directory import own_account
from portal.core.access import Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.signin.email_change import ask_for_email, asked_email, forget_asked_email
from portal.web.forms import told_beside
from portal.web.gates import asks_again, requires
from portal.web.identity import actor

blueprint = Blueprint("email", __name__, url_prefix="/email")


class EmailForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """The address that is to be one's own."""

    email = EmailField(words("New e-mail address"), [InputRequired(words("Type the new address.")), Length(max=320)])


@blueprint.route("", methods=["GET", "POST"])
@requires(Capability.OWN_SECURITY)
@asks_again()
def index() -> ResponseReturnValue:
    """What it is, what was asked for, and asking for another."""
    form = EmailForm()
    if form.validate_on_submit():
        asked = ""
        with told_beside(form) as attempt:
            asked = ask_for_email(actor(), form.email.data)
        if attempt.done:
            flash(gettext("We mailed a link to %(email)s. Use it, and the change is made.", email=asked), "green")
            return redirect(url_for("account.email.index"))
    page = render_template(
        "account/email/index.html", form=form, account=own_account(actor()), asked=asked_email(actor())
    )
    return page, 422 if form.is_submitted() else 200


@blueprint.post("/forget")
@requires(Capability.OWN_SECURITY)
def forget() -> ResponseReturnValue:
    """Take back what was asked for."""
    forget_asked_email(actor())
    flash(gettext("Taken back: the address stays as it is, and the mailed link is dead."), "green")
    return redirect(url_for("account.email.index"))
