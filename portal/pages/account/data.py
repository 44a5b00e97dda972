"""/account/data: everything held about oneself, to take away; closing the account, and taking that back."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.accounts.directory import own_account
from portal.accounts.models import State, User
from portal.core import clock
from portal.core.access import Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.keys.service import own_keys
from portal.privacy.closing import GRACE, close_account, take_back_closing
from portal.privacy.own_data import own_archives
from portal.web.forms import told_beside
from portal.web.gates import Standing, asks_again, open_while, requires
from portal.web.identity import actor, renew_cookie

blueprint = Blueprint("data", __name__, url_prefix="/data")


class CloseForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """The username, typed once more."""

    username = StringField(words("Your username"), [InputRequired(words("Type your username.")), Length(max=80)])


@blueprint.get("")
@open_while(Standing.CLOSING)
@requires(Capability.OWN_PROFILE)
def index() -> ResponseReturnValue:
    """What can be taken away, and how to leave; while the account is closing, the way back."""
    account = own_account(actor())
    closing = isinstance(account, User) and account.state == State.CLOSING
    archives = own_archives(actor()) if isinstance(account, User) else []
    return render_template(
        "account/data/index.html", account=account, closing=closing, archives=archives, grace=GRACE.days
    )


@blueprint.route("/close", methods=["GET", "POST"])
@requires(Capability.OWN_DATA)
@asks_again()
def close() -> ResponseReturnValue:
    """Say what will happen, and do it once the username is typed."""
    who = actor()
    form = CloseForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            secret = close_account(who, typed_name=form.username.data or "")
        if attempt.done:
            renew_cookie(secret)
            flash(gettext("Your account is being closed. A mail says until when you can take that back."), "yellow")
            return redirect(url_for("account.data.index"))
    keys = [key for key in own_keys(who) if key.state in {"active", "replaced"}]
    page = render_template(
        "account/data/close.html", form=form, account=own_account(who), keys=len(keys), ends=clock.now() + GRACE
    )
    return page, 422 if form.is_submitted() else 200


@blueprint.post("/take-back")
@open_while(Standing.CLOSING)
@requires(Capability.OWN_DATA)
def take_back() -> ResponseReturnValue:
    """Keep the account after all."""
    take_back_closing(actor())
    flash(gettext("Your account stays. Your API keys work again."), "green")
    return redirect(url_for("account.data.index"))
