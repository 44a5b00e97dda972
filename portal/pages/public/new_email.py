"""/new-email/<token>: confirm that a new address is one's own."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from portal.core.text import gettext
from portal.signin.email_change import account_of_new_email, confirm_email_change
from portal.web.identity import actor, renew_cookie

blueprint = Blueprint("new_email", __name__)


@blueprint.route("/new-email/<token>", methods=["GET", "POST"])
def index(token: str) -> ResponseReturnValue:
    """A GET shows a button; the POST spends the link. No session is opened; that of the account goes on."""
    account, email = account_of_new_email(token)
    form = FlaskForm()
    if form.validate_on_submit():
        changed = confirm_email_change(actor(), token)
        renew_cookie(changed.secret)
        flash(gettext("The e-mail address of your account is %(email)s now.", email=email), "green")
        return redirect(url_for("account.email.index" if changed.secret else "public.sign_in.index"))
    return render_template("public/new_email/index.html", form=form, account=account, email=email)
