"""/api/v1/me/message-logs: one's own conversations, exchange by exchange."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from flask import Blueprint, Response, request

from portal.api.describing import describes
from portal.api.list_shapes import Instant, PageQuery
from portal.api.lists import asked_instant, asked_limit, check_filters
from portal.api.log_shapes import LogPage, LogShape, LogTokensShape
from portal.core.access import Capability
from portal.messages.reading import LogFilter, LogSeen, own_log, own_logs
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import shape_response

blueprint = Blueprint("me_message_logs", __name__, url_prefix="/me/message-logs")


class OwnLogQuery(PageQuery):
    """Which exchanges."""

    q: Annotated[str, msgspec.Meta(description="Words that were said; sealed: an id, conversation or model.")] | (
        msgspec.UnsetType
    ) = msgspec.UNSET
    model: str | msgspec.UnsetType = msgspec.UNSET
    conversation_id: str | msgspec.UnsetType = msgspec.UNSET
    since: Instant | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="from")
    until: Instant | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="to")


class OwnLogShape(LogShape, kw_only=True):
    """One exchange of one's own with its words. `content` is kept, gone or locked (sealed by a key that is no more)."""

    content: str
    messages: list[dict[str, Any]]
    metadata: dict[str, Any]


@blueprint.get("")
@requires(Capability.OWN_CONVERSATIONS)
@describes({200: LogPage}, query=OwnLogQuery)
def index() -> Response:
    """List and search one's own exchanges."""
    check_filters("q", "model", "conversation_id", "from", "to")
    wanted = LogFilter(
        search=_typed("q", 200),
        model=_typed("model", 80),
        conversation=_typed("conversation_id", 128),
        since=asked_instant("from"),
        until=asked_instant("to"),
    )
    page = own_logs(actor(), wanted, request.args.get("cursor"), size=asked_limit())
    return shape_response(LogPage(page.next_cursor, [LogShape(**_fields(log)) for log in page.items]))


@blueprint.get("/<uuid:log_id>")
@requires(Capability.OWN_CONVERSATIONS)
@describes({200: OwnLogShape})
def show(log_id: UUID) -> Response:
    """Read one exchange of one's own."""
    read = own_log(actor(), log_id)
    words: dict[str, Any] = {"content": read.state, "messages": read.messages, "metadata": read.extra or {}}
    return shape_response(OwnLogShape(**_fields(read.log), **words))


def _typed(name: str, most: int) -> str:
    return request.args.get(name, "")[:most].replace("\0", "")


def _fields(log: LogSeen) -> dict[str, Any]:
    return {
        "id": str(log.id),
        "source_id": log.source_id,
        "user_id": str(log.user_id),
        "conversation_id": log.conversation,
        "model": log.model,
        "usage": LogTokensShape(log.prompt_tokens, log.completion_tokens, log.total_tokens),
        "latency_ms": log.latency_ms,
        "timestamp": log.at.isoformat(),
        "received_at": log.received_at.isoformat(),
    }
