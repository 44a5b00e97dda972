"""The machine door, /api/v1: JSON in and out, bearer tokens only, problem documents for errors.

One module per resource; no rules, no queries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint

from portal.api import audit, keys, message_logs, status_checks, usage, users
from portal.web.gates import Audience, guard

if TYPE_CHECKING:
    from flask import Flask


def register(app: Flask) -> None:
    """Hang the door in."""
    audience = Blueprint("api", __name__, url_prefix="/api/v1")
    guard(audience, Audience.MACHINE)
    for module in (audit, keys, message_logs, status_checks, usage, users):
        audience.register_blueprint(module.blueprint)
    app.register_blueprint(audience)
    anybody = Blueprint("open_api", __name__, url_prefix="/api/v1")
    guard(anybody, Audience.PUBLIC)
    anybody.register_blueprint(keys.open_blueprint)
    app.register_blueprint(anybody)
