"""The form that sets a password by link: for invitations and resets."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import PasswordField
from wtforms.validators import EqualTo, InputRequired, Length

from portal.core.text import lazy_gettext as words


class PasswordForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """A new password, typed twice."""

    password = PasswordField(words("New password"), [InputRequired(words("Choose a password.")), Length(max=1024)])
    again = PasswordField(words("The same again"), [EqualTo("password", words("The two passwords differ."))])
