"""/sign-in and /sign-out."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired, Length

from portal.core import settings
from portal.core.text import lazy_gettext as words
from portal.outside.providers import ways_in
from portal.signin.entry import FactorOwed, sign_in
from portal.signin.sessions import sign_out
from portal.signin.steps import Step
from portal.web.forms import local_target, told_beside
from portal.web.identity import HOMES, actor, browser, enter_session, keep_step, leave_session, viewer

blueprint = Blueprint("sign_in", __name__)


class SignInForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """One form for all kinds of accounts."""

    name = StringField(
        words("Username or e-mail"), [InputRequired(words("Type your username or e-mail.")), Length(max=320)]
    )
    password = PasswordField(words("Password"), [InputRequired(words("Type your password.")), Length(max=1024)])
    next = HiddenField()


@blueprint.route("/sign-in", methods=["GET", "POST"])
def index() -> ResponseReturnValue:
    """Sign in, and land at home or where one was led from."""
    form = SignInForm(next=request.args.get("next", ""))
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            entered = sign_in(actor(), form.name.data, form.password.data, browser())
        if attempt.done:
            if isinstance(entered, FactorOwed):
                keep_step(Step.FACTOR, entered.secret)
                return redirect(url_for("public.factor.index", next=form.next.data or None))
            enter_session(entered)
            return redirect(local_target(form.next.data, HOMES[entered.account.kind]))
    elif not form.is_submitted() and (person := viewer()):
        return redirect(person.home_url)
    page = render_template(
        "public/sign_in/index.html",
        form=form,
        confirming=settings.current().confirm_email,
        providers=ways_in(),
    )
    return page, 422 if form.is_submitted() else 200


@blueprint.post("/sign-out")
def leave() -> ResponseReturnValue:
    """End the session; its cookie is dead from now."""
    who = actor()
    if secret := leave_session():
        sign_out(who, secret)
    return redirect("/")
