"""Taking a user's record away as a file: the same page for the desk and the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from portal.accounts.directory import user_record
from portal.core.text import lazy_gettext as words
from portal.support.exporting import export_record
from portal.web.acting import acting_for
from portal.web.forms import told_beside
from portal.web.streaming import stream_file

if TYPE_CHECKING:
    from uuid import UUID

    from portal.web.view_pages import Door


class TakeForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """Why a record leaves the house."""

    reason = StringField(words("Reason"), [InputRequired(words("Say why.")), Length(max=500)])


def take_page(door: Door, user_id: UUID) -> ResponseReturnValue:
    """Say why; the file is the answer. Raises NotFound, CaseNeeded."""
    who = acting_for(user_id)
    user = user_record(who, user_id)
    form = TakeForm(reason=who.reason or "")
    if form.validate_on_submit():
        with told_beside(form) as attempt:
            made = export_record(acting_for(user_id, form.reason.data), user_id)
        if attempt.done:
            return stream_file(made.pieces, name=made.name, media_type=made.media_type)
    page = render_template("staff/record/index.html", door=door, user=user, form=form)
    return page, 422 if form.is_submitted() else 200
