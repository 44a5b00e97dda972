"""/reset/<token>: a new password by mailed link."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core.text import gettext
from portal.pages.public.passwords import PasswordForm
from portal.signin.passwords import least_for
from portal.signin.reset import account_to_reset, reset_password
from portal.web.forms import told_beside
from portal.web.identity import actor

blueprint = Blueprint("reset", __name__)


@blueprint.route("/reset/<token>", methods=["GET", "POST"])
def index(token: str) -> ResponseReturnValue:
    """A GET only looks; the POST spends the link. No session is opened."""
    account = account_to_reset(token)
    form = PasswordForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            reset_password(actor(), token, form.password.data)
        if attempt.done:
            flash(gettext("Your password is changed. Sign in with the new one."), "green")
            return redirect(url_for("public.sign_in.index"))
    page = render_template("public/reset/index.html", form=form, account=account, least=least_for(account.kind))
    return page, 422 if form.is_submitted() else 200
