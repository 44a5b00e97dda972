"""Answering a push of message logs: 202 only once what was accepted is durable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portal.core.errors import Invalid, Malformed
from portal.core.text import gettext
from portal.messages.intake import MOST_RECORDS, Result, push, read_body
from portal.messages.shape import BadRecord
from portal.web.problems import json_response

if TYPE_CHECKING:
    from flask import Response

    from portal.core.actor import Actor

MEDIA_TYPES = ("application/json", "application/x-ndjson")


def answer_push(who: Actor, body: bytes, media_type: str) -> Response:
    """What became of each record of a body. Raises Malformed, Invalid, Unavailable."""
    try:
        records = read_body(body, media_type)
    except BadRecord as error:
        raise Malformed(str(error)) from None
    if not records or len(records) > MOST_RECORDS:
        raise Invalid({"/records": gettext("Send 1 to %(most)s records.", most=MOST_RECORDS)})
    results = push(who, records)
    counts = {
        status: sum(result.status == status for result in results) for status in ("accepted", "duplicate", "rejected")
    }
    return json_response({**counts, "results": [_shown(result) for result in results]}, 202)


def _shown(result: Result) -> dict[str, Any]:
    return {"id": result.id, "status": result.status, "error": result.error}
