"""/sign-in/factor: the second half of signing in. There is no session before it."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.core.text import lazy_gettext as words
from portal.signin.codes import enter_with_code, give_up, owed_factors
from portal.signin.steps import Step
from portal.web.forms import local_target, told_beside
from portal.web.identity import HOMES, actor, browser, drop_step, enter_session, kept_step, viewer

blueprint = Blueprint("factor", __name__, url_prefix="/sign-in/factor")


class CodeForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """One field for the app's code and for a recovery code."""

    code = StringField(words("Code"), [InputRequired(words("Type a code.")), Length(max=100)])


@blueprint.route("", methods=["GET", "POST"])
def index() -> ResponseReturnValue:
    """Ask for a code or a passkey; the right one opens the session and leads to where one wanted to go."""
    secret, form = kept_step(Step.FACTOR), CodeForm()
    wanted = request.args.get("next")
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            entered = enter_with_code(actor(), secret, form.code.data, browser())
        if attempt.done:
            enter_session(entered)
            return redirect(local_target(wanted, HOMES[entered.account.kind]))
    elif not form.is_submitted() and secret is None and (person := viewer()):
        return redirect(person.home_url)  # back to here, after it was done
    # The fifth wrong code ended the first half: this leads back to the start.
    factors = owed_factors(secret)
    page = render_template("public/factor/index.html", form=form, factors=factors, next=wanted)
    return page, 422 if form.is_submitted() else 200


@blueprint.post("/cancel")
def cancel() -> ResponseReturnValue:
    """Start again from the password."""
    give_up(actor(), kept_step(Step.FACTOR))
    drop_step(Step.FACTOR)
    return redirect(url_for("public.sign_in.index", next=request.args.get("next")))
