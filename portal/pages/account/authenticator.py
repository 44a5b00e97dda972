"""/account/security/authenticator: set up an authenticator app, put another in its place, remove it."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.accounts.directory import own_account
from portal.core.access import Capability
from portal.core.errors import StepOver
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.pages.account.recovery_codes import codes_page, onward
from portal.signin.authenticator import (
    begin_authenticator,
    begun_authenticator,
    confirm_authenticator,
    remove_authenticator,
)
from portal.signin.factors import factors_of, may_remove
from portal.signin.steps import Step
from portal.web.forms import told_beside
from portal.web.gates import Standing, asks_again, open_while, requires
from portal.web.identity import actor, keep_step, kept_step, renew_cookie
from portal.web.qr import qr_picture

blueprint = Blueprint("authenticator", __name__, url_prefix="/security/authenticator")


class CodeForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """The code that shows that the app has the seed."""

    code = StringField(words("Code"), [InputRequired(words("Type the code that the app shows.")), Length(max=40)])


@blueprint.get("")
@open_while(Standing.ENROLLING)
@requires(Capability.OWN_SECURITY)
@asks_again(factor=True)
@asks_again()
def index() -> ResponseReturnValue:
    """What there is, and the button that begins."""
    account = own_account(actor())
    factors = factors_of(account.id)
    return render_template(
        "account/authenticator/index.html",
        factors=factors,
        removable=may_remove(account, factors),
        form=FlaskForm(),
        next=request.args.get("next"),
    )


@blueprint.post("")
@open_while(Standing.ENROLLING)
@requires(Capability.OWN_SECURITY)
def begin() -> ResponseReturnValue:
    """Make a seed; what was begun in this browser before is left behind."""
    keep_step(Step.AUTHENTICATOR, begin_authenticator(actor()))
    return redirect(url_for("account.authenticator.confirm", next=request.args.get("next")))


@blueprint.route("/confirm", methods=["GET", "POST"])
@open_while(Standing.ENROLLING)
@requires(Capability.OWN_SECURITY)
@asks_again(factor=True)
@asks_again()
def confirm() -> ResponseReturnValue:
    """Show the QR code and the seed; the code that the app makes of them confirms it."""
    who, secret, wanted, form = actor(), kept_step(Step.AUTHENTICATOR), request.args.get("next"), CodeForm()
    try:
        begun = begun_authenticator(who, secret)
        if form.validate_on_submit():
            with told_beside(form) as attempt:
                confirmed = confirm_authenticator(who, secret, form.code.data)
            if attempt.done:
                renew_cookie(confirmed.secret)
                if confirmed.codes:
                    return codes_page(confirmed.codes, wanted)
                flash(gettext("The authenticator app is set up. Sign in with its codes from now on."), "green")
                return redirect(onward(wanted, url_for("account.security.index")))
            begun = begun_authenticator(who, secret)  # the fifth wrong code ended it
    except StepOver as over:
        if form.is_submitted():
            raise
        flash(str(over.words), "yellow")
        return redirect(url_for("account.authenticator.index", next=wanted))
    page = render_template(
        "account/authenticator/confirm.html", begun=begun, picture=qr_picture(begun.address), form=form, next=wanted
    )
    return page, 422 if form.is_submitted() else 200


@blueprint.post("/remove")
@requires(Capability.OWN_SECURITY)
def remove() -> ResponseReturnValue:
    """Remove the app; other browsers are signed out."""
    renew_cookie(remove_authenticator(actor()))
    flash(gettext("The authenticator app is removed. Other browsers were signed out."), "green")
    return redirect(url_for("account.security.index"))
