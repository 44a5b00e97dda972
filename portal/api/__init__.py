"""The machine door, /api/v1: JSON in and out, bearer tokens only, problem documents for errors.

One module per resource; no rules, no queries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint

from portal.api import (
    audit,
    auth,
    keys,
    me,
    me_activity,
    me_credits,
    me_keys,
    me_message_logs,
    me_prompts,
    me_sessions,
    me_usage,
    message_logs,
    openapi,
    plans,
    registering,
    status_checks,
    usage,
    user_credits,
    user_keys,
    user_prompts,
    user_usage,
    users,
    well_known,
)
from portal.web.gates import Audience, guard
from portal.web.limits import count_address

if TYPE_CHECKING:
    from flask import Flask

RESOURCES = (
    audit,
    auth,
    keys,
    me,
    me_activity,
    me_credits,
    me_keys,
    me_message_logs,
    me_prompts,
    me_sessions,
    me_usage,
    message_logs,
    plans,
    status_checks,
    usage,
    user_credits,
    user_keys,
    user_prompts,
    user_usage,
    users,
)
FOR_ANYBODY = (auth, keys, openapi, registering)


def register(app: Flask) -> None:
    """Hang the door in."""
    audience = Blueprint("api", __name__, url_prefix="/api/v1")
    guard(audience, Audience.MACHINE)
    for module in RESOURCES:
        audience.register_blueprint(module.blueprint)
    app.register_blueprint(audience)
    anybody = Blueprint("open_api", __name__, url_prefix="/api/v1")
    guard(anybody, Audience.PUBLIC)
    anybody.before_request(count_address)
    for module in FOR_ANYBODY:
        anybody.register_blueprint(module.open_blueprint)
    app.register_blueprint(anybody)
    told = Blueprint("told", __name__)
    guard(told, Audience.PUBLIC)
    told.register_blueprint(well_known.blueprint)
    app.register_blueprint(told)
