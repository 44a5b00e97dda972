"""/staff/notes: the notes that name oneself, and those on a user's record."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.accounts.directory import user_record
from portal.core.access import Capability
from portal.support.notes import LATEST, PAGE, list_mentionable, mentions_of, notes_of
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.lists import typed
from portal.web.note_forms import (
    after_note,
    from_record,
    pin_as_asked,
    remove_as_asked,
    sent_note,
    status_of,
    write_note,
)

blueprint = Blueprint("notes", __name__, url_prefix="/notes")


@blueprint.get("")
@requires(Capability.NOTE_WRITE)
def index() -> ResponseReturnValue:
    """The notes in which one is named, newest first."""
    return render_template("staff/notes/index.html", page=mentions_of(actor(), typed("cursor", most=500) or None))


@blueprint.route("/<uuid:user_id>", methods=["GET", "POST"])
@requires(Capability.NOTE_WRITE)
def show(user_id: UUID) -> ResponseReturnValue:
    """All notes on a user's record, and writing one."""
    who, form = actor(), sent_note()
    user = user_record(who, user_id)
    here = url_for("staff.notes.show", user_id=user_id)
    if write_note(form, user_id):
        return redirect(after_note(here))
    short = from_record(here)
    cursor = typed("cursor", most=500) or None
    page = render_template(
        "staff/notes/show.html",
        user=user,
        notes=notes_of(who, user_id, cursor, size=LATEST if short else PAGE),
        short=short,
        form=form,
        people=list_mentionable(who),
    )
    return page, status_of(form)


@blueprint.post("/<uuid:user_id>/<uuid:note_id>/pin")
@requires(Capability.NOTE_WRITE)
def pin(user_id: UUID, note_id: UUID) -> ResponseReturnValue:
    """Keep a note on top, or no longer."""
    pin_as_asked(user_id, note_id)
    return redirect(after_note(url_for("staff.notes.show", user_id=user_id)))


@blueprint.post("/<uuid:user_id>/<uuid:note_id>/remove")
@requires(Capability.NOTE_WRITE)
def remove(user_id: UUID, note_id: UUID) -> ResponseReturnValue:
    """Take a note away."""
    remove_as_asked(user_id, note_id)
    return redirect(after_note(url_for("staff.notes.show", user_id=user_id)))
