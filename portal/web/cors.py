"""Pages of other origins may call the API where CORS_ORIGINS lists their origin, exactly; pages of ours are never
opened to them. Nothing that a browser sends along by itself counts at the machine door, so credentials are never
allowed.

Around the express lane and outside Flask's hooks, because refusals want the headers as much as answers do: without them
a program in a browser learns nothing but that something failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask, Response, current_app, request

from portal.web.frame import is_machine_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from portal.core.settings import Settings

MAY_SEND = "Authorization, Content-Type, Idempotency-Key, If-Match, X-Case, X-Reason"
MAY_READ = (
    "ETag, Idempotent-Replayed, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id, "
    "Content-Disposition"
)
# For so long a browser asks no second time; what may be sent changes with a new version only.
REMEMBERED_S = 600
VARY = ("Vary", "Origin")


class Cors:
    """A WSGI application around another one."""

    def __init__(self, inner: WSGIApplication, origins: Iterable[str]) -> None:
        self.inner = inner
        self.origins = frozenset(origins)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; what no page sent costs one look."""
        origin = environ.get("HTTP_ORIGIN")
        path = environ.get("PATH_INFO", "")
        # What is kept on the way must be kept for each origin apart, so that the answer to none goes to no page.
        if (origin is None and not path.startswith("/.well-known/")) or not is_machine_path(path):
            return self.inner(environ, start_response)
        told = [VARY]
        if origin in self.origins:
            told += [("Access-Control-Allow-Origin", str(origin)), ("Access-Control-Expose-Headers", MAY_READ)]

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            full = [*headers, *told]
            return start_response(status, full, exc_info) if exc_info else start_response(status, full)

        return self.inner(environ, start)


def register_preflights(app: Flask) -> None:
    """Answer what browsers ask beforehand, of every route there is, before any gate: they send no credential then."""
    given: Settings = app.extensions["settings"]
    origins = frozenset(given.cors_origins)

    @app.before_request
    def answer() -> Response | None:
        if (
            request.method != "OPTIONS"
            or request.url_rule is None
            or request.headers.get("Origin") not in origins
            or "Access-Control-Request-Method" not in request.headers
            or not is_machine_path(request.path)
        ):
            return None
        response = current_app.make_default_options_response()
        response.status_code = 204
        response.headers.remove("Content-Type")
        response.headers["Access-Control-Allow-Methods"] = response.headers["Allow"]
        response.headers["Access-Control-Allow-Headers"] = MAY_SEND
        response.headers["Access-Control-Max-Age"] = str(REMEMBERED_S)
        return response
