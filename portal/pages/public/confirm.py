"""/confirm/<token>: confirm an e-mail address."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from portal.accounts.links import Purpose, look_at_link
from portal.core.text import gettext
from portal.signin.registration import confirm_email
from portal.web.identity import actor

blueprint = Blueprint("confirm", __name__)


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
