"""What every request gets: an id, a log line, a trusted host, and headers that forbid what pages never need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import structlog
from flask import Flask, Response, g, redirect, request
from werkzeug.sansio.utils import host_is_trusted

from portal.core import clock, settings
from portal.core.errors import Malformed
from portal.core.ids import new_id
from portal.core.text import gettext

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

log = structlog.get_logger()
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# The whole of one, in any parameter: a shown prefix of ten characters may be searched for.
SECRET_IN_QUERY = re.compile(rb"(^|[=&])dwc?_[A-Za-z0-9_-]{20}")
SECRET_PATHS = re.compile(r"^/(setup|invitation|confirm|reset)/.+")


def shown_path(path: str) -> str:
    """The path as it may be logged: without the token of a mailed link."""
    return SECRET_PATHS.sub(r"/\1/…", path)


def host_is_known(host: str, known: list[str]) -> bool:
    """Whether this Host header, in any case and with any port, is one of ours."""
    host = host.lower()
    return host_is_trusted(host, known) or re.sub(r"(?<=\]):\d{1,5}$", "", host) in known


def register_requests(app: Flask) -> None:
    """Hook the above into the application."""

    @app.before_request
    def begin() -> BaseResponse | None:
        g.started = clock.monotonic()
        g.request_id = new_id().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
        now = settings.current()
        if request.path.startswith("/health"):
            return None
        if not host_is_known(request.host, now.hosts):
            raise Malformed(gettext("This site is not known by that host name."))
        if request.query_string and request.path.startswith("/api/") and SECRET_IN_QUERY.search(request.query_string):
            raise Malformed(gettext("A key or token in an address ends up in logs: send it in a header, and renew it."))
        if (
            now.secure_cookies
            and now.trusted_proxies
            and request.scheme == "http"
            and request.method in {"GET", "HEAD"}
        ):
            return redirect(now.site_url + request.full_path.rstrip("?"), 308)
        return None

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.get("request_id", "")
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        if settings.current().secure_cookies:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
        if request.endpoint != "static" and "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        if not request.path.startswith(("/static/", "/health")):
            log.info(
                "request",
                method=request.method,
                path=shown_path(request.path),
                status=response.status_code,
                ms=round((clock.monotonic() - g.get("started", clock.monotonic())) * 1000, 1),
            )
        return response
