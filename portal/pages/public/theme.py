"""POST /theme: light, dark, or as the system has it."""

from __future__ import annotations

from flask import Blueprint, redirect, request
from flask.typing import ResponseReturnValue

from portal.accounts.preferences import choose_theme
from portal.core import settings
from portal.web.faces import theme_cookie
from portal.web.forms import local_target
from portal.web.identity import actor, viewer

blueprint = Blueprint("theme", __name__)
YEAR_S = 365 * 86400


@blueprint.post("/theme")
def choose() -> ResponseReturnValue:
    """Keep the choice in a cookie, and on the account of whoever is signed in, and go back."""
    response = redirect(local_target(request.form.get("next"), "/"))
    chosen = request.form.get("theme", "")
    if viewer() is not None:
        choose_theme(actor(), chosen)
    secure = settings.current().secure_cookies
    if chosen in {"light", "dark"}:
        response.set_cookie(theme_cookie(), chosen, max_age=YEAR_S, secure=secure, httponly=True, samesite="Lax")
    else:
        response.delete_cookie(theme_cookie(), secure=secure, httponly=True, samesite="Lax")
    return response
