"""/forgotten: ask for a reset link."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.core.text import lazy_gettext as words
from portal.signin.reset import ask_for_reset
from portal.web.forms import told_beside
from portal.web.identity import actor

blueprint = Blueprint("forgotten", __name__)


class ForgottenForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Whose password is forgotten."""

    name = StringField(
        words("Username or e-mail"), [InputRequired(words("Type your username or e-mail.")), Length(max=320)]
    )


@blueprint.route("/forgotten", methods=["GET", "POST"])
def index() -> ResponseReturnValue:
    """The answer is the same whether or not there is such an account."""
    form = ForgottenForm()
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            ask_for_reset(actor(), form.name.data)
        if attempt.done:
            return render_template("public/forgotten/sent.html")
    return render_template("public/forgotten/index.html", form=form), 422 if form.is_submitted() else 200
