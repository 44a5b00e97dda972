"""Pages of one's own account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint

from portal.core.access import Capability
from portal.core.text import gettext
from portal.pages.account import (
    activity,
    archives,
    authenticator,
    conversations,
    data,
    email,
    exports,
    help,
    home,
    keys,
    passkeys,
    password,
    picture,
    profile,
    prompts,
    providers,
    reauth,
    recovery_codes,
    security,
    sessions,
    usage,
    username,
)
from portal.usage.warnings import own_mark
from portal.web.gates import Audience, guard
from portal.web.identity import actor, viewer
from portal.web.navigation import Entry, navigation

if TYPE_CHECKING:
    from flask import Flask

SUBJECTS = (
    home,
    usage,
    keys,
    conversations,
    prompts,
    exports,
    profile,
    security,
    password,
    passkeys,
    providers,
    sessions,
    activity,
    data,
    archives,
    picture,
    reauth,
    authenticator,
    recovery_codes,
    email,
    username,
    help,
)


def register(app: Flask) -> None:
    """Hang the audience in."""
    audience = Blueprint("account", __name__, url_prefix="/account")
    guard(audience, Audience.ACCOUNT)
    audience.context_processor(frame)
    for subject in SUBJECTS:
        audience.register_blueprint(subject.blueprint)
    app.register_blueprint(audience)


def frame() -> dict[str, Any]:
    """The navigation of the account pages, as far as this kind of account has them, and the banner of a day's mark."""
    entries = [
        Entry(gettext("Home"), "account.home.index", "home", Capability.OWN_PROFILE),
        Entry(gettext("Usage"), "account.usage.index", "chart-bar", Capability.OWN_USAGE),
        Entry(gettext("API keys"), "account.keys.index", "key", Capability.OWN_KEYS),
        Entry(gettext("Conversations"), "account.conversations.index", "message-2", Capability.OWN_CONVERSATIONS),
        Entry(gettext("Prompts"), "account.prompts.index", "bookmark", Capability.OWN_PROMPTS),
        Entry(gettext("Exports"), "account.exports.index", "download", Capability.OWN_EXPORTS),
        Entry(gettext("Profile"), "account.profile.index", "user", Capability.OWN_PROFILE),
        Entry(gettext("Security"), "account.security.index", "shield-lock", Capability.OWN_SECURITY),
        Entry(gettext("Sessions"), "account.sessions.index", "device-laptop", Capability.OWN_SESSIONS),
        Entry(gettext("Activity"), "account.activity.index", "history", Capability.OWN_ACTIVITY),
        Entry(gettext("Your data"), "account.data.index", "database", Capability.OWN_PROFILE),
        Entry(gettext("Ask for help"), "account.help.index", "help", Capability.CASE_OWN),
    ]
    who = actor()
    # An error page knows no viewer and asks the database nothing.
    warned = own_mark(who) if viewer() is not None and who.may(Capability.OWN_USAGE) else None
    return {"navigation": navigation(entries, who), "usage_mark": warned}
