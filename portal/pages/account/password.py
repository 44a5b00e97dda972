"""/account/security/password: change the password, or set the first one."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import PasswordField
from wtforms.validators import Length

from portal.accounts.directory import own_account
from portal.core.access import Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.pages.public.passwords import PasswordForm
from portal.signin.changing import change_password
from portal.signin.passwords import least_for
from portal.web.forms import told_beside
from portal.web.gates import asks_again, requires
from portal.web.identity import actor, renew_cookie

blueprint = Blueprint("password", __name__, url_prefix="/security/password")


class ChangeForm(PasswordForm):
    """The present password and the new one, typed twice."""

    current = PasswordField(words("Current password"), [Length(max=1024)])


@blueprint.route("", methods=["GET", "POST"])
@requires(Capability.OWN_SECURITY)
@asks_again()
def index() -> ResponseReturnValue:
    """Change it; this browser stays signed in, all others do not."""
    account = own_account(actor())
    form = ChangeForm()
    if account.password_hash is None:
        del form.current
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            secret = change_password(actor(), form.current.data or "" if form.current else "", form.password.data)
        if attempt.done:
            renew_cookie(secret)
            flash(gettext("Your password is changed. Every other browser is signed out."), "green")
            return redirect(url_for("account.security.index"))
    page = render_template("account/password/index.html", form=form, account=account, least=least_for(account.kind))
    return page, 422 if form.is_submitted() else 200
