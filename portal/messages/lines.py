"""Lines of the spool read back: records that can be stored, or why one cannot be."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec

from portal.messages.shape import INT
from portal.messages.spool_protocol import body_of

if TYPE_CHECKING:
    from portal.messages.spool_protocol import Line

Size = Annotated[int, msgspec.Meta(ge=0, le=INT)]
Name = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[^\0]*\Z")]


class WaitingRecord(msgspec.Struct):
    """What a spooled record must hold. Intake writes nothing else; files of other versions and hands may.

    Sealed words are in `sealed`, and then not in `messages` and `extra`. No messages: no words are kept.
    """

    log_id: UUID
    client_id: UUID
    source_id: Name
    digest: Annotated[str, msgspec.Meta(pattern=r"^(?:[0-9a-f]{2})+\Z")]
    user_id: UUID
    conversation: Name
    model: Annotated[str, msgspec.Meta(max_length=80, pattern=r"^[^\0]*\Z")]
    messages: list[dict[str, Any]]
    tokens: dict[str, Size]
    latency_ms: Size | None
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    received_at: Annotated[datetime, msgspec.Meta(tz=True)]
    extra: dict[str, Any] | None
    sealed: str | None = None


_decoder = msgspec.json.Decoder(WaitingRecord)


def read_body(body: bytes) -> WaitingRecord | str:
    """The record of a line's JSON, or why it is none."""
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        return f"no record: {error}"
    except (msgspec.DecodeError, RecursionError):
        return "damaged line"


def read_line(line: Line) -> WaitingRecord | str:
    """The record of a line, or why it is none."""
    body = body_of(line.raw)
    return "damaged line" if body is None else read_body(body)


def total_of(tokens: dict[str, int]) -> int | None:
    """All tokens: as told, or the sum of those that were told."""
    if "total_tokens" in tokens:
        return tokens["total_tokens"]
    parts = [tokens[name] for name in ("prompt_tokens", "completion_tokens") if name in tokens]
    return sum(parts) if parts else None
