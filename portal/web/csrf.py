"""Forms want the token of their session; the machine door reads no cookie and needs none."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

from flask import current_app, request
from flask_wtf.csrf import CSRFProtect

from portal.web.frame import is_machine_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

P = ParamSpec("P")
R = TypeVar("R")


def takes_at_most(size: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let this view be sent so many bytes and no more: what is larger is refused before it is read."""

    def dress(view: Callable[P, R]) -> Callable[P, R]:
        view.__most_bytes__ = size  # type: ignore[attr-defined]  # read before the form is
        return view

    return dress


def protect_forms(app: Flask) -> None:
    """Refuse every change that a cookie could make without the token, wherever its view is registered."""
    guard = CSRFProtect(app)

    @app.before_request
    def check_token() -> None:
        if request.endpoint and not is_machine_path(request.path):
            most = getattr(current_app.view_functions[request.endpoint], "__most_bytes__", None)
            if most is not None:
                request.max_content_length = most
            guard.protect()
