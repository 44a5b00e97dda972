"""/account/reauth: showing again who one is, on the way to something dangerous."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import Length

from portal.accounts.directory import own_account
from portal.core.access import Capability
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.outside.identities import ways_to_prove
from portal.signin.reauth import Asked, has_ended, prove_again, what_to_ask
from portal.web.forms import local_target, told_beside
from portal.web.gates import Standing, open_while, requires
from portal.web.identity import HOMES, actor, leave_session, renew_cookie

blueprint = Blueprint("reauth", __name__, url_prefix="/reauth")


class ReauthForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What can be typed; what is not asked for is left out of the page."""

    password = PasswordField(words("Password"), [Length(max=1024)])
    code = StringField(words("Code"), [Length(max=100)])
    factor = HiddenField()
    next = HiddenField()


@blueprint.route("", methods=["GET", "POST"])
@open_while(Standing.ENROLLING, Standing.CLOSING)
@requires(Capability.OWN_SECURITY)
def index() -> ResponseReturnValue:
    """Ask, and lead back to where one came from."""
    who = actor()
    form = ReauthForm(next=request.args.get("next", ""), factor=request.args.get("factor", "0"))
    factor = form.factor.data == "1"
    account = own_account(who)
    target = local_target(form.next.data, HOMES[account.kind])
    asked = what_to_ask(who, factor=factor)
    if asked is None:
        return redirect(target)
    if form.validate_on_submit() and _all_typed(form, asked):
        with told_beside(form) as attempt:
            secret = prove_again(who, factor=factor, password=form.password.data or "", code=form.code.data or "")
        if attempt.done:
            renew_cookie(secret)
            return redirect(target)
        if has_ended(who.session_id):
            return lead_out(target)
    ways = ways_to_prove(who) if asked.outside else []
    page = render_template("account/reauth/index.html", form=form, asked=asked, account=account, ways=ways)
    return page, 422 if form.is_submitted() else 200


def lead_out(target: str) -> ResponseReturnValue:
    """To the door, after the wrong answer that ended the session; from there on to the target."""
    leave_session()
    flash(gettext("Too many wrong answers: you are signed out. Sign in again."), "red")
    return redirect(url_for("public.sign_in.index", next=target))


def _all_typed(form: ReauthForm, asked: Asked) -> bool:
    """Whether everything asked for was typed; nothing typed is no wrong answer."""
    if asked.password and not form.password.data:
        form.password.errors = [gettext("Type your password.")]
    if asked.code and not (form.code.data or "").strip():
        form.code.errors = [gettext("Type the code.")]
    return not form.errors
