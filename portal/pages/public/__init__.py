"""Pages for anybody: the start page, signing in, registering, mailed links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint

from portal.pages.public import (
    api_docs,
    confirm,
    factor,
    forgotten,
    home,
    invitation,
    keep_email,
    new_email,
    not_me,
    passkey,
    provider,
    reset,
    setup,
    sign_in,
    status,
    theme,
)
from portal.pages.public import (
    register as registration,
)
from portal.web.gates import Audience, guard

if TYPE_CHECKING:
    from flask import Flask

SUBJECTS = (
    home,
    sign_in,
    factor,
    passkey,
    provider,
    registration,
    invitation,
    confirm,
    new_email,
    keep_email,
    not_me,
    forgotten,
    reset,
    setup,
    theme,
    status,
    api_docs,
)


def register(app: Flask) -> None:
    """Hang the audience in."""
    audience = Blueprint("public", __name__)
    guard(audience, Audience.PUBLIC)
    for subject in SUBJECTS:
        audience.register_blueprint(subject.blueprint)
    app.register_blueprint(audience)
