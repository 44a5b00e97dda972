"""What is asked before the words of another person are shown."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.core.text import lazy_gettext as words


class ContentReasonForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Why it is read."""

    reason = StringField(words("Reason"), [InputRequired(words("Say why.")), Length(max=500)])
