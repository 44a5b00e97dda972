"""Pages of the support desk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, url_for

from portal.core.access import Capability
from portal.core.text import gettext
from portal.pages.staff import cases, desk, exports, users, view
from portal.web.gates import Audience, guard
from portal.web.identity import actor
from portal.web.navigation import Entry, navigation

if TYPE_CHECKING:
    from flask import Flask


def register(app: Flask) -> None:
    """Hang the audience in."""
    audience = Blueprint("staff", __name__, url_prefix="/staff")
    guard(audience, Audience.STAFF)
    audience.context_processor(frame)
    for subject in (cases, desk, exports, users, view):
        audience.register_blueprint(subject.blueprint)
    app.register_blueprint(audience)


def frame() -> dict[str, Any]:
    """Navigation and search box of the desk."""
    entries = [Entry(gettext("Desk"), "staff.desk.index", "headset", Capability.USER_FIND)]
    return {
        "navigation": navigation(entries, actor()),
        "search_action": url_for("staff.desk.index"),
        "search_label": gettext("Find a user"),
    }
