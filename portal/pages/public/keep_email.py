"""/keep-email/<token>: take back a change of the e-mail address, from the address of before."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from portal.core.text import gettext
from portal.privacy.kept_email import account_of_kept_email, keep_email
from portal.web.identity import actor

blueprint = Blueprint("keep_email", __name__)


@blueprint.route("/keep-email/<token>", methods=["GET", "POST"])
def index(token: str) -> ResponseReturnValue:
    """A GET shows a button; the POST spends the link and ends every session."""
    account, email = account_of_kept_email(token)
    form = FlaskForm()
    if form.validate_on_submit():
        kept = keep_email(actor(), token)
        if not kept.restored:
            return render_template("public/keep_email/taken.html", email=email)
        words = gettext(
            "%(email)s is the address of your account again, and everybody is signed out of it. "
            "We mailed you a link: choose a new password with it.",
            email=email,
        )
        flash(words, "green")
        return redirect(url_for("public.sign_in.index"))
    return render_template("public/keep_email/index.html", form=form, account=account, email=email)
