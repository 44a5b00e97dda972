"""/setup/<token>: the first admin, once."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField, SelectField, StringField
from wtforms.validators import InputRequired, Length

from portal.accounts.models import Kind
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.pages.public.register import zone_choices
from portal.signin.first_admin import look_at_setup, make_first_admin
from portal.signin.passwords import least_for
from portal.signin.registration import NewPerson
from portal.web.forms import told_beside
from portal.web.identity import actor

blueprint = Blueprint("setup", __name__)


class SetupForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """The first admin."""

    username = StringField(words("Username"), [InputRequired(words("Choose a username.")), Length(max=80)])
    email = EmailField(words("E-mail"), [InputRequired(words("Type your e-mail address.")), Length(max=320)])
    password = PasswordField(words("Password"), [InputRequired(words("Choose a password.")), Length(max=1024)])
    time_zone = SelectField(words("Time zone"), validate_choice=False)


@blueprint.route("/setup/<token>", methods=["GET", "POST"])
def index(token: str) -> ResponseReturnValue:
    """Make the first admin with the link that the first start printed."""
    look_at_setup(token)
    form = SetupForm()
    form.time_zone.choices = zone_choices()
    if form.validate_on_submit():
        who = NewPerson(form.username.data, form.email.data, "", form.time_zone.data or "")
        with told_beside(form) as attempt:
            make_first_admin(actor(), token, who, form.password.data)
        if attempt.done:
            flash(gettext("You are the first admin. Sign in."), "green")
            return redirect(url_for("public.sign_in.index"))
    page = render_template("public/setup/index.html", form=form, least=least_for(Kind.ADMIN.value))
    return page, 422 if form.is_submitted() else 200
