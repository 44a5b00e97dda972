"""/account/username: choose another username."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.accounts.directory import own_account
from portal.core.access import Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.signin.username_change import change_username, may_rename_from
from portal.web.forms import told_beside
from portal.web.gates import asks_again, requires
from portal.web.identity import actor

blueprint = Blueprint("username", __name__, url_prefix="/username")


class UsernameForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """The name that is to be one's own."""

    username = StringField(words("New username"), [InputRequired(words("Type the new username.")), Length(max=200)])


@blueprint.route("", methods=["GET", "POST"])
@requires(Capability.OWN_SECURITY)
@asks_again()
def index() -> ResponseReturnValue:
    """What it is, and changing it."""
    form = UsernameForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            change_username(actor(), form.username.data)
        if attempt.done:
            flash(gettext("Your username is changed. Sign in with the new one from now on."), "green")
            return redirect(url_for("account.username.index"))
    account = own_account(actor())
    page = render_template(
        "account/username/index.html", form=form, account=account, may_rename_from=may_rename_from(account)
    )
    return page, 422 if form.is_submitted() else 200
