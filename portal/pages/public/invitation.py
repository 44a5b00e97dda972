"""/invitation/<token>: the first password of an invited account."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core.text import gettext
from portal.pages.public.passwords import PasswordForm
from portal.signin.passwords import least_for
from portal.signin.registration import accept_invitation, invited_account
from portal.web.forms import told_beside
from portal.web.identity import actor

blueprint = Blueprint("invitation", __name__)


@blueprint.route("/invitation/<token>", methods=["GET", "POST"])
def index(token: str) -> ResponseReturnValue:
    """A GET only looks; the POST spends the link."""
    account = invited_account(token)
    form = PasswordForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            accept_invitation(actor(), token, form.password.data)
        if attempt.done:
            flash(gettext("Your account is ready. Sign in with your new password."), "green")
            return redirect(url_for("public.sign_in.index"))
    least = least_for(account.kind)
    page = render_template("public/invitation/index.html", form=form, account=account, least=least)
    return page, 422 if form.is_submitted() else 200
