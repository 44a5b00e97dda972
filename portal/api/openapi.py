"""/api/v1/openapi.json: what there is, for programs and for the page at /api/docs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson
from flask import Blueprint, Response, current_app, request

from portal.api.describing import describes
from portal.api.document import make_document
from portal.web.problems import bytes_response

if TYPE_CHECKING:
    from flask import Flask

open_blueprint = Blueprint("open_document", __name__, url_prefix="/openapi.json")
KEPT_S = 300


def document_of(app: Flask) -> dict[str, Any]:
    """The document of this application, made once."""
    made: dict[str, Any] | None = app.extensions.get("api_document")
    if made is None:
        made = app.extensions["api_document"] = make_document(app)
    return made


@open_blueprint.get("")
@describes(
    {200: {"type": "object"}, 304: None},
    tag="document",
    headers={"ETag": "Changes with the document; If-None-Match asks by it."},
)
def openapi() -> Response:
    """This document."""
    body = orjson.dumps(document_of(current_app))
    response = bytes_response(body)
    response.headers["Cache-Control"] = f"public, max-age={KEPT_S}"
    response.set_etag(hashlib.sha256(body).hexdigest()[:32])
    response.make_conditional(request)
    return response
