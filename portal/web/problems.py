"""Problem documents (RFC 9457) for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from flask import Response, g, request

if TYPE_CHECKING:
    from portal.core.errors import PortalError


def json_response(value: Any, status: int = 200) -> Response:
    """A JSON answer, never stored by anything on the way."""
    return bytes_response(orjson.dumps(value), status)


def bytes_response(body: bytes, status: int = 200) -> Response:
    """The same of JSON that is written already."""
    return Response(body, status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])


def shape_response(shape: msgspec.Struct, status: int = 200) -> Response:
    """The same of a shape of the document."""
    return bytes_response(msgspec.json.encode(shape), status)


# Their errors are told as RFC 6749, 5.2 says.
OAUTH_PATHS = {"/api/v1/auth/token", "/api/v1/auth/revoke", "/api/v1/auth/introspect"}
REALM = "api"
OAUTH_ERRORS = {401: "invalid_client", 403: "access_denied", 429: "temporarily_unavailable", 500: "server_error"}
OAUTH_ERRORS |= {503: "temporarily_unavailable"}


def oauth_error(error: PortalError) -> Response:
    """An error of the token endpoint and its neighbours."""
    told = {
        "error": getattr(error, "error", OAUTH_ERRORS.get(error.status, "invalid_request")),
        "error_description": str(error.words),
        "code": error.code,
        "request_id": g.get("request_id"),
    }
    # 400 for all that is wrong with the request, but for sizes and methods, which say more.
    response = json_response(told, 400 if error.status in {415, 422} else error.status)
    if error.status == 401:
        basic = request.headers.get("Authorization", "").lower().startswith("basic")
        response.headers["WWW-Authenticate"] = f'Basic realm="{REALM}"' if basic else _challenge()
    return response


def problem(error: PortalError) -> Response:
    """The document of an error."""
    if request.path in OAUTH_PATHS:
        return oauth_error(error)
    body: dict[str, Any] = {
        "type": f"/api/docs/errors#{error.code}",
        "title": str(error.title),
        "status": error.status,
        "detail": str(error.words),
        "instance": request.path,
        "code": error.code,
        "request_id": g.get("request_id"),
    }
    if fields := getattr(error, "fields", None):
        body["errors"] = [
            {"pointer": name if name.startswith("/") else f"/{name}", "detail": str(words)}
            for name, words in fields.items()
        ]
    response = json_response(body, error.status)
    response.mimetype = "application/problem+json"
    if error.status == 401:
        response.headers["WWW-Authenticate"] = _challenge()
    return response


def _challenge() -> str:
    """What is wanted, and whether what came was none (RFC 6750, 3); of who sent nothing nothing is said."""
    sent = request.headers.get("Authorization", "").partition(" ")[0].lower() == "bearer"
    return f'Bearer realm="{REALM}", error="invalid_token"' if sent else f'Bearer realm="{REALM}"'
