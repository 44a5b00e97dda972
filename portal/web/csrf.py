"""Forms want the token of their session; the machine door reads no cookie and needs none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request
from flask_wtf.csrf import CSRFProtect

from portal.web.frame import is_machine_path

if TYPE_CHECKING:
    from flask import Flask


def protect_forms(app: Flask) -> None:
    """Refuse every change that a cookie could make without the token, wherever its view is registered."""
    guard = CSRFProtect(app)

    @app.before_request
    def check_token() -> None:
        if request.endpoint and not is_machine_path(request.path):
            guard.protect()
