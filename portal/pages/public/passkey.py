"""/sign-in/passkey: signing in with a passkey, alone or as the second factor."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField

from portal.core.errors import Conflict, StepOver
from portal.signin.passkey_entry import begin_entering, begin_factor, enter_with_passkey, sign_in_with_passkey
from portal.signin.steps import Step
from portal.web.forms import local_target, told_beside
from portal.web.identity import HOMES, actor, browser, enter_session, keep_step, kept_step, viewer

blueprint = Blueprint("passkey", __name__, url_prefix="/sign-in/passkey")


class PasskeyForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What the authenticator answered, as JSON, put here by a script."""

    credential = HiddenField()
    next = HiddenField()


@blueprint.route("", methods=["GET", "POST"])
def index() -> ResponseReturnValue:
    """Sign in, and land at home or where one was led from."""
    form = PasskeyForm(next=request.args.get("next", ""))
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            entered = sign_in_with_passkey(actor(), kept_step(Step.PASSKEY), form.credential.data or "", browser())
        if attempt.done:
            enter_session(entered)
            return redirect(local_target(form.next.data, HOMES[entered.account.kind]))
    elif not form.is_submitted() and (person := viewer()):
        return redirect(person.home_url)
    return render_template("public/passkey/index.html", form=form), 422 if form.is_submitted() else 200


@blueprint.post("/options")
def options() -> ResponseReturnValue:
    """A challenge for this browser, for whichever passkey it holds."""
    challenge = begin_entering(actor())
    keep_step(Step.PASSKEY, challenge.secret)
    return Response(challenge.options, mimetype="application/json")


@blueprint.post("/factor")
def factor() -> ResponseReturnValue:
    """The second half of a sign-in whose first was a password."""
    form, wanted = PasskeyForm(), request.args.get("next")
    with told_beside(form) as attempt:
        first, asked = kept_step(Step.FACTOR), kept_step(Step.PASSKEY)
        entered = enter_with_passkey(actor(), first, asked, form.credential.data or "", browser())
    if attempt.done:
        enter_session(entered)
        return redirect(local_target(wanted, HOMES[entered.account.kind]))
    flash(" ".join(form.form_errors), "red")
    return redirect(url_for("public.factor.index", next=wanted))


@blueprint.post("/factor/options")
def factor_options() -> ResponseReturnValue:
    """A challenge for the passkeys of whoever owes a second factor in this browser."""
    try:
        challenge = begin_factor(actor(), kept_step(Step.FACTOR))
    except StepOver as over:
        raise Conflict(over.words) from None  # a script asks: the form, which it sends then, leads to the start
    keep_step(Step.PASSKEY, challenge.secret)
    return Response(challenge.options, mimetype="application/json")
