"""Message logs as the API takes and tells them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from portal.api.list_shapes import Instant, PageQuery, PageShape
from portal.messages.records import MOST_RECORDS
from portal.messages.shape import MOST_MODEL

Tokens = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class MessageShape(msgspec.Struct):
    """One message; more members are kept as they are."""

    role: str
    content: Any = None


class UsageShape(msgspec.Struct, forbid_unknown_fields=True):
    """Tokens of one exchange."""

    prompt_tokens: Tokens | None = None
    completion_tokens: Tokens | None = None
    total_tokens: Tokens | None = None


class RecordShape(msgspec.Struct, forbid_unknown_fields=True):
    """One exchange to keep. `user_id` or `username` says whose; `id` is the caller's own and makes a repeat one."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_MODEL)]
    messages: Annotated[list[MessageShape], msgspec.Meta(min_length=1)]
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    username: str | None = None
    user_id: str | None = None
    conversation_id: str | None = None
    usage: UsageShape | None = None
    latency_ms: Tokens | None = None
    timestamp: Instant | None = None
    metadata: dict[str, Any] | None = None


class RecordsShape(msgspec.Struct, forbid_unknown_fields=True):
    """Several; each is judged on its own."""

    records: Annotated[list[RecordShape], msgspec.Meta(min_length=1, max_length=MOST_RECORDS)]


class LogQuery(PageQuery):
    """Which logs."""

    q: Annotated[str, msgspec.Meta(description="Words; or an id, conversation or model.")] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    user_id: str | msgspec.UnsetType = msgspec.UNSET
    model: str | msgspec.UnsetType = msgspec.UNSET
    conversation_id: str | msgspec.UnsetType = msgspec.UNSET
    since: Instant | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="from")
    until: Instant | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="to")


class LogTokensShape(msgspec.Struct):
    """Tokens, as far as they were told."""

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None


class LogShape(msgspec.Struct):
    """What is known of one exchange beside its words. `id` is ours, `source_id` the caller's."""

    id: str
    source_id: str
    user_id: str
    conversation_id: str
    model: str | None
    usage: LogTokensShape
    latency_ms: int | None
    timestamp: str
    received_at: str


class LogPage(PageShape):
    """Logs, newest first."""

    items: list[LogShape]


class ReadLogShape(LogShape, kw_only=True):
    """One exchange; its words are there when a reason was given."""

    content: Annotated[str, msgspec.Meta(description="Whether its words are kept.")]
    messages: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
