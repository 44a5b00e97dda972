"""Pages of the admin console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, url_for

from portal.core.access import Capability
from portal.core.text import gettext
from portal.pages.admin import (
    acts,
    admins,
    audit,
    cases,
    clients,
    dashboard,
    deleted,
    exports,
    factors,
    jobs,
    logs,
    mail,
    networks,
    notes,
    plans,
    providers,
    record,
    search,
    sessions,
    staff,
    status_checks,
    timeline,
    undo,
    usage,
    users,
    view,
)
from portal.support.notes import unseen_mentions
from portal.web.gates import Audience, guard
from portal.web.identity import actor, viewer
from portal.web.navigation import Entry, navigation

if TYPE_CHECKING:
    from flask import Flask

SUBJECTS = (
    dashboard,
    search,
    usage,
    users,
    timeline,
    cases,
    view,
    record,
    acts,
    undo,
    deleted,
    staff,
    admins,
    factors,
    sessions,
    plans,
    providers,
    clients,
    logs,
    exports,
    status_checks,
    mail,
    jobs,
    networks,
    notes,
    audit,
)


def register(app: Flask) -> None:
    """Hang the audience in."""
    audience = Blueprint("admin", __name__, url_prefix="/admin")
    guard(audience, Audience.ADMIN)
    audience.context_processor(frame)
    for subject in SUBJECTS:
        audience.register_blueprint(subject.blueprint)
    app.register_blueprint(audience)


def frame() -> dict[str, Any]:
    """The console's navigation, as far as the admin's permissions go, and its search box."""
    who = actor()
    # An error page knows no viewer and asks the database nothing.
    naming = unseen_mentions(who) if viewer() is not None and who.may(Capability.NOTE_WRITE) else 0
    entries = [
        Entry(gettext("Dashboard"), "admin.dashboard.index", "home", Capability.CONSOLE_SEE),
        Entry(gettext("Users"), "admin.users.index", "users", Capability.USER_READ),
        Entry(gettext("Notes that name you"), "admin.notes.index", "note", Capability.NOTE_WRITE, naming),
        Entry(gettext("Usage"), "admin.usage.index", "chart-bar", Capability.USER_READ),
        Entry(gettext("Deleted users"), "admin.deleted.index", "trash", Capability.USER_DELETE),
        Entry(gettext("Staff"), "admin.staff.index", "headset", Capability.STAFF_MANAGE),
        Entry(gettext("Admins"), "admin.admins.index", "shield-lock", Capability.ADMIN_MANAGE),
        Entry(gettext("Plans"), "admin.plans.index", "coins", Capability.PLAN_READ),
        Entry(gettext("Sign-in providers"), "admin.providers.index", "login", Capability.SETTING_MANAGE),
        Entry(gettext("Service clients"), "admin.clients.index", "bolt", Capability.CLIENT_MANAGE),
        Entry(gettext("Message logs"), "admin.logs.index", "message-2", Capability.LOG_METADATA),
        Entry(gettext("Status checks"), "admin.status_checks.index", "heartbeat", Capability.STATUS_READ),
        Entry(gettext("Mail"), "admin.mail.index", "mail", Capability.SETTING_MANAGE),
        Entry(gettext("Jobs"), "admin.jobs.index", "clock", Capability.JOB_READ),
        Entry(gettext("Networks"), "admin.networks.index", "world", Capability.SETTING_MANAGE),
        Entry(gettext("Audit log"), "admin.audit.index", "history", Capability.AUDIT_READ),
    ]
    may_search = who.may(Capability.USER_READ)
    return {
        "navigation": navigation(entries, who),
        "search_action": url_for("admin.search.index") if may_search else None,
        "search_label": gettext("Search users"),
        "search_suggestions": url_for("admin.search.suggest") if may_search else None,
    }
