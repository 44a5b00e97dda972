"""Pages of the support desk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, url_for

from portal.core.access import Capability
from portal.core.text import gettext
from portal.pages.staff import (
    acts,
    cases,
    deleted,
    desk,
    escalations,
    exports,
    history,
    notes,
    record,
    reveals,
    undo,
    users,
    view,
)
from portal.support.notes import unseen_mentions
from portal.support.queue import count_for_me, count_waiting
from portal.web.gates import Audience, guard
from portal.web.identity import actor, viewer
from portal.web.navigation import Entry, navigation

if TYPE_CHECKING:
    from flask import Flask

SUBJECTS = (
    acts,
    cases,
    deleted,
    desk,
    escalations,
    exports,
    record,
    history,
    notes,
    reveals,
    undo,
    users,
    view,
)


def register(app: Flask) -> None:
    """Hang the audience in."""
    audience = Blueprint("staff", __name__, url_prefix="/staff")
    guard(audience, Audience.STAFF)
    audience.context_processor(frame)
    for subject in SUBJECTS:
        audience.register_blueprint(subject.blueprint)
    app.register_blueprint(audience)


def frame() -> dict[str, Any]:
    """Navigation and search box of the desk."""
    who = actor()
    # An error page knows no viewer and asks the database nothing.
    asks = viewer() is not None and who.may(Capability.CASE_WORK)
    for_me, waiting, naming = (count_for_me(who), count_waiting(who), unseen_mentions(who)) if asks else (0, 0, 0)
    entries = [
        Entry(gettext("Desk"), "staff.desk.index", "headset", Capability.USER_FIND),
        Entry(gettext("My cases"), "staff.cases.index", "bell", Capability.CASE_WORK, for_me),
        Entry(gettext("Queue"), "staff.escalations.index", "inbox", Capability.CASE_WORK, waiting),
        Entry(gettext("Deleted users"), "staff.deleted.index", "trash", Capability.USER_RESTORE),
        Entry(gettext("Notes that name you"), "staff.notes.index", "note", Capability.NOTE_WRITE, naming),
        Entry(gettext("What you did"), "staff.history.index", "history", Capability.CASE_WORK),
    ]
    return {
        "navigation": navigation(entries, who),
        "search_action": url_for("staff.desk.index"),
        "search_label": gettext("Find a user"),
        "search_suggestions": url_for("staff.desk.suggest"),
    }
