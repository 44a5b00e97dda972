"""Writing, pinning and removing notes on a user's record, for the desk and the console alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import flash, request
from flask_wtf import FlaskForm
from wtforms import BooleanField, TextAreaField
from wtforms.validators import InputRequired

from portal.core.errors import Conflict, Forbidden
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.support.notes import add_note, pin_note, remove_note
from portal.web.forms import local_target, told_as_news, told_beside
from portal.web.identity import actor

if TYPE_CHECKING:
    from uuid import UUID


class NoteForm(FlaskForm):  # type: ignore[misc]  # flask-wtf is untyped
    """A note; the verb behind says what it may hold."""

    pinned = BooleanField(words("Keep it on top"))
    words = TextAreaField(words("New note"), [InputRequired(words("Write something."))])  # last: it takes the name


def blank_note() -> NoteForm:
    """The form on a page that shows notes, before anything is sent."""
    return NoteForm(formdata=None, prefix="note-")


def sent_note() -> NoteForm:
    """The form as it was sent."""
    return NoteForm(prefix="note-")


def write_note(form: NoteForm, user_id: UUID) -> bool:
    """Write the note that was sent; False where the form says what is wrong with it."""
    if not form.validate_on_submit():
        return False
    with told_beside(form) as attempt:
        named = add_note(actor(), user_id, form.words.data, pinned=form.pinned.data)
    if not attempt.done:
        return False
    told = ", ".join(one.username for one in named)
    flash(
        gettext("The note is written; %(names)s is told.", names=told) if told else gettext("The note is written."),
        "green",
    )
    return True


def pin_as_asked(user_id: UUID, note_id: UUID) -> None:
    """Pin the note, or let it go down again, as the button says."""
    with told_as_news(Conflict) as attempt:
        pin_note(actor(), user_id, note_id, pinned=request.form.get("pinned") == "1")
    if not attempt.done:
        flash(attempt.words, "red")


def remove_as_asked(user_id: UUID, note_id: UUID) -> None:
    """Remove the note, or say why not."""
    with told_as_news(Forbidden) as attempt:
        remove_note(actor(), user_id, note_id)
    flash(gettext("The note is removed.") if attempt.done else attempt.words, "green" if attempt.done else "red")


def inline() -> bool:
    """Whether a script asked, which puts the notes of the answer in the place of those on the page."""
    return request.headers.get("HX-Request") == "true"


def from_record(here: str) -> bool:
    """Whether the notes are wanted as a record shows them, the latest few: `here` is the page of all of them."""
    return request.args.get("short") == "1" or (inline() and request.form.get("next", here) != here)


def after_note(here: str) -> str:
    """Where to go when it is done: to the notes for a script, back to the page of the form for everybody else."""
    if inline():
        return f"{here}?short=1" if from_record(here) else here
    return local_target(request.form.get("next"), here)


def status_of(form: NoteForm) -> int:
    """The status of the page with the form. Scripts do not show an answer that says that something is wrong."""
    return 422 if form.is_submitted() and not inline() else 200
