"""Forms about deleted users, for the desk and the console."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.core.text import lazy_gettext as words


class RestoreForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Why a deleted user comes back."""

    reason = StringField(words("Reason"), [InputRequired(words("Say why.")), Length(max=500)])


class PurgeForm(RestoreForm):
    """Why a deleted user is purged before their time, and their name once more."""

    username = StringField(words("Username"), [InputRequired(words("Type the username.")), Length(max=200)])
