"""Problem documents (RFC 9457) for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def problem(error: PortalError) -> Response:
    """The document of an error."""
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
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
