"""/api/v1/message-logs: push records, list and search them, read one; what was said wants a scope and a reason."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request

from portal.api.bodies import require_media_type
from portal.api.describing import describes
from portal.api.lists import asked_instant, asked_limit, check_filters
from portal.api.log_shapes import LogPage, LogQuery, ReadLogShape, RecordShape, RecordsShape
from portal.api.pushing import MEDIA_TYPES, Answer, answer_push
from portal.api.reasons import actor_with_reason, reason_given
from portal.core.access import Capability
from portal.core.errors import Invalid
from portal.core.ids import parse_id
from portal.core.text import gettext
from portal.messages.reading import LogFilter, LogSeen, list_logs, read_log, search_logs, searches_words, see_log
from portal.web.gates import lacking, requires
from portal.web.identity import actor
from portal.web.problems import bytes_response, json_response

blueprint = Blueprint("message_logs", __name__, url_prefix="/message-logs")
FILTERS = ("q", "user_id", "model", "conversation_id", "from", "to")


@blueprint.post("")
@requires(Capability.LOG_WRITE)
@describes(
    {202: Answer},
    body=[RecordShape, RecordsShape],
    takes=MEDIA_TYPES,
    example={
        "id": "4711",
        "username": "alice",
        "model": "m-1",
        "messages": [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hello!"}],
    },
    shown={
        "accepted": 1,
        "duplicate": 0,
        "rejected": 0,
        "results": [{"id": "4711", "status": "accepted", "error": None}],
    },
)
def push_logs() -> Response:
    """Push logs; 202 only once what was accepted is durable."""
    media_type = require_media_type(MEDIA_TYPES)
    return bytes_response(answer_push(actor(), request.get_data(), media_type), 202)


@blueprint.get("")
@requires(Capability.LOG_READ)
@describes({200: LogPage}, query=LogQuery, reason=True)
def list_message_logs() -> Response:
    """Metadata of logs, newest first. Whoever may read content searches the words, and says why."""
    check_filters(*FILTERS)
    wanted = LogFilter(
        search=request.args.get("q", "")[:200].replace("\0", ""),
        user_id=_id("user_id"),
        model=request.args.get("model", "")[:80].replace("\0", ""),
        conversation=request.args.get("conversation_id", "")[:128].replace("\0", ""),
        since=asked_instant("from"),
        until=asked_instant("to"),
    )
    cursor, size = request.args.get("cursor"), asked_limit()
    if wanted.search.strip() and searches_words() and actor().may(Capability.LOG_CONTENT):
        page = search_logs(actor_with_reason(), wanted, cursor, what="api", size=size)
    else:
        page = list_logs(actor(), wanted, cursor, size=size)
    return json_response({"items": [_item(log) for log in page.items], "next_cursor": page.next_cursor})


@blueprint.get("/<uuid:log_id>")
@requires(Capability.LOG_READ)
@describes({200: ReadLogShape}, reason=True)
def show_message_log(log_id: UUID) -> Response:
    """One log: its metadata, and for a reason (X-Reason) what was said."""
    log, state = see_log(actor(), log_id)
    told = {**_item(log), "content": state}
    if reason_given():
        if not actor().may(Capability.LOG_CONTENT):
            raise lacking(Capability.LOG_CONTENT)
        opened = read_log(actor_with_reason(), log_id, what="api")
        told |= {"messages": opened.messages, "metadata": opened.extra or {}}
    return json_response(told)


def _id(name: str) -> Any:
    given = request.args.get(name)
    if given is None:
        return None
    made = parse_id(given)
    if made is None:
        raise Invalid({"/" + name: gettext("This is not an id.")})
    return made


def _item(log: LogSeen) -> dict[str, Any]:
    return {
        "id": str(log.id),
        "source_id": log.source_id,
        "user_id": str(log.user_id),
        "conversation_id": log.conversation,
        "model": log.model,
        "usage": {
            "prompt_tokens": log.prompt_tokens,
            "completion_tokens": log.completion_tokens,
            "total_tokens": log.total_tokens,
        },
        "latency_ms": log.latency_ms,
        "timestamp": log.at.isoformat(),
        "received_at": log.received_at.isoformat(),
    }
