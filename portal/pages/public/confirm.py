"""/confirm: have the mail sent again that confirms an address. /confirm/<token>: confirm it."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.accounts.links import Purpose, look_at_link
from portal.core import settings
from portal.core.errors import NotFound
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.signin.confirmation import ask_for_confirmation
from portal.signin.registration import confirm_email
from portal.web.forms import told_beside
from portal.web.identity import actor

blueprint = Blueprint("confirm", __name__)


class AgainForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Whose mail did not come."""

    name = StringField(
        words("Username or e-mail"), [InputRequired(words("Type your username or e-mail.")), Length(max=320)]
    )


@blueprint.route("/confirm", methods=["GET", "POST"])
def again() -> ResponseReturnValue:
    """The answer is the same whether or not such an account waits for its mail."""
    if not settings.current().confirm_email:
        raise NotFound
    form = AgainForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            ask_for_confirmation(actor(), form.name.data)
        if attempt.done:
            return render_template("public/confirm/sent.html")
    return render_template("public/confirm/again.html", form=form), 422 if form.is_submitted() else 200


@blueprint.route("/confirm/<token>", methods=["GET", "POST"])
def index(token: str) -> ResponseReturnValue:
    """A GET shows a button; the POST spends the link."""
    look_at_link(token, Purpose.CONFIRM)
    form = FlaskForm()
    if form.validate_on_submit():
        confirm_email(actor(), token)
        flash(gettext("Your e-mail address is confirmed. You can sign in now."), "green")
        return redirect(url_for("public.sign_in.index"))
    return render_template("public/confirm/index.html", form=form)
