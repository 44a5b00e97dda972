"""What is asked on /admin/users."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import DateTimeLocalField, EmailField, HiddenField, SelectField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from portal.core.text import lazy_gettext as words
from portal.web.forms import WholeNumberField

REASON = [InputRequired(words("Say why.")), Length(max=500)]


class InviteForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """A user to invite."""

    username = StringField(words("Username"), [InputRequired(words("Choose a username.")), Length(max=80)])
    email = EmailField(words("E-mail"), [InputRequired(words("Type the e-mail address.")), Length(max=320)])
    display_name = StringField(words("Display name"), [Length(max=80)])
    plan = SelectField(words("Plan"))
    time_zone = SelectField(words("Time zone"), validate_choice=False)


class EditForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """What can be changed of a user's record."""

    version = HiddenField()
    display_name = StringField(words("Display name"), [Length(max=80)])
    email = EmailField(words("E-mail"), [InputRequired(words("Type the e-mail address.")), Length(max=320)])
    time_zone = SelectField(words("Time zone"), validate_choice=False)
    daily_limit_override = WholeNumberField(
        words("Own daily limit"),
        [Optional(), NumberRange(0, 1_000_000, words("A whole number from 0 to 1,000,000."))],
    )


class BoostForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """A higher daily limit for a while."""

    extra = WholeNumberField(
        words("More conversations a day"),
        [
            InputRequired(words("How many?")),
            NumberRange(1, 1_000_000, words("A whole number from 1 to 1,000,000.")),
        ],
    )
    until = DateTimeLocalField(
        words("Until"),
        [InputRequired(words("A time to come, at most 90 days ahead."))],
        format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        invalid_value_message=words("A time to come, at most 90 days ahead."),
    )
    reason = StringField(words("Reason"), REASON)


class ReasonForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Why it is done."""

    reason = StringField(words("Reason"), REASON)


class CreditForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Credits to grant."""

    amount = WholeNumberField(
        words("Credits"),
        [
            InputRequired(words("How many?")),
            NumberRange(1, 1_000_000, words("A whole number from 1 to 1,000,000.")),
        ],
    )
    reason = StringField(words("Reason"), REASON)


class AdjustForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Credits to add, or to take with a minus."""

    amount = WholeNumberField(
        words("Credits to add or take"),
        [
            InputRequired(words("How many?")),
            NumberRange(-1_000_000, 1_000_000, words("A whole number from -1,000,000 to 1,000,000, not 0.")),
        ],
    )
    reason = StringField(words("Reason"), REASON)


class DeleteForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Why, and the name once more."""

    reason = StringField(words("Reason"), REASON)
    username = StringField(words("Type the username to confirm"), [InputRequired(words("Type the username."))])
