"""What every answer gets, put around it outside Flask's hooks: an id, fixed headers, a line in the log.

Outside, because the hot routes answer in a time in which each header set through the framework shows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from portal.core import clock
from portal.core.ids import new_hex
from portal.web.logs import request_id, write_request_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from portal.core.settings import Settings

REQUEST_ID = "doorward.request_id"
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Content-Security-Policy", POLICY),
]
STAY_ON_HTTPS = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
KEEP_NOTHING = ("Cache-Control", "no-store")
SECRET_STARTS = (
    "/setup/",
    "/invitation/",
    "/confirm/",
    "/reset/",
    "/new-email/",
    "/keep-email/",
    "/not-me/",
    "//",
)
# With slashes too many, which routing overlooks.
SECRET_PATHS = re.compile(r"^/+(setup|invitation|confirm|reset|new-email|keep-email|not-me)/.+", flags=re.S)
# A key or token that a caller put into the address by mistake: what is shown of one anyway, and no more.
KEY_IN_PATH = re.compile(r"(dwc?_[A-Za-z0-9_-]{4})[A-Za-z0-9_-]{12,}")


def shown_path(path: str) -> str:
    """The path as it may be logged: without the token of a mailed link, without an API key or a client's token."""
    if path.startswith(SECRET_STARTS):
        path = SECRET_PATHS.sub(r"/\1/…", path)
    return KEY_IN_PATH.sub(r"\1…", path) if "dw" in path else path


def _path_of(environ: WSGIEnvironment) -> str:
    """The path in characters: WSGI hands it over as bytes in the guise of Latin-1."""
    raw: str = environ.get("PATH_INFO", "")
    return raw if raw.isascii() else raw.encode("latin-1", "replace").decode("utf-8", "replace")


class Envelope:
    """A WSGI application around Flask's own."""

    def __init__(self, inner: WSGIApplication, settings: Settings) -> None:
        self.inner = inner
        self.fixed = [*HEADERS, STAY_ON_HTTPS] if settings.secure_cookies else HEADERS

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        made = new_hex()
        environ[REQUEST_ID] = made
        request_id.set(made)
        path, began, fixed = _path_of(environ), clock.monotonic(), self.fixed

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            full = [*headers, ("X-Request-Id", made), *fixed]
            for name, _ in headers:
                if name == "Cache-Control":
                    break
            else:
                full.append(KEEP_NOTHING)
            if not path.startswith(("/static/", "/health")):
                spent = (clock.monotonic() - began) * 1000
                write_request_line(environ.get("REQUEST_METHOD", ""), shown_path(path), status[:3], spent, made)
            return start_response(status, full, exc_info) if exc_info else start_response(status, full)

        return self.inner(environ, start)
