"""/register."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired, Length

from portal.accounts.models import Kind
from portal.accounts.names import zones
from portal.core import settings
from portal.core.errors import NotFound
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.signin.entry import enter_registered
from portal.signin.passwords import least_for
from portal.signin.registration import NewPerson, register
from portal.web.forms import told_beside
from portal.web.identity import HOMES, actor, browser, enter_session, viewer
from portal.web.languages import language

blueprint = Blueprint("register", __name__)


class RegisterForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """A new user."""

    username = StringField(words("Username"), [InputRequired(words("Choose a username.")), Length(max=80)])
    email = EmailField(words("E-mail"), [InputRequired(words("Type your e-mail address.")), Length(max=320)])
    display_name = StringField(words("Display name"), [Length(max=80)])
    password = PasswordField(words("Password"), [InputRequired(words("Choose a password.")), Length(max=1024)])
    time_zone = SelectField(words("Time zone"), validate_choice=False)


def zone_choices() -> list[SelectChoice]:
    """Time zones for a select, the first one empty so that the browser's own can be offered."""
    return [
        SelectChoice("", gettext("Choose a time zone")),
        *(SelectChoice(zone, zone.replace("_", " ")) for zone in zones()),
    ]


@blueprint.route("/register", methods=["GET", "POST"])
def index() -> ResponseReturnValue:
    """Register; without confirmation by mail one is signed in at once."""
    now = settings.current()
    if now.registration == "closed":
        raise NotFound(gettext("Registration is closed here."))
    if person := viewer():
        return redirect(person.home_url)
    form = RegisterForm()
    form.time_zone.choices = zone_choices()
    if form.validate_on_submit():
        given = (form.username.data, form.email.data, form.display_name.data or "", form.time_zone.data or "")
        who = NewPerson(*given, language=language())
        with told_beside(form) as attempt:
            user = register(actor(), who, form.password.data)
        if attempt.done and user is None:
            return render_template("public/register/check_mail.html", email=form.email.data)
        if attempt.done and user is not None:
            enter_session(enter_registered(actor(), user, browser()))
            flash(gettext("Welcome! Make an API key to begin."), "green")
            return redirect(HOMES[user.kind])
    page = render_template("public/register/index.html", form=form, least=least_for(Kind.USER.value))
    return page, 422 if form.is_submitted() else 200
