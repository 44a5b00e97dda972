"""Answering a push of message logs: 202 only once what was accepted is durable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from portal.core.errors import Invalid, Malformed
from portal.core.text import gettext
from portal.messages.intake import Result, push
from portal.messages.records import MOST_RECORDS, NDJSON, split_body

if TYPE_CHECKING:
    from portal.core.actor import Actor
    from portal.repeats.service import Repeat

MEDIA_TYPES = ("application/json", NDJSON)


class Answer(msgspec.Struct):
    """What became of a push."""

    accepted: int
    duplicate: int
    rejected: int
    results: list[Result]


def answer_push(who: Actor, body: bytes, media_type: str) -> bytes:
    """What became of each record of a body. Raises Malformed, Invalid, Unavailable."""
    try:
        records = split_body(body, media_type)
    except ValueError as error:
        raise Malformed(str(error)) from None
    if not records or len(records) > MOST_RECORDS:
        raise Invalid({"/records": gettext("Send 1 to %(most)s records.", most=MOST_RECORDS)})
    results = push(who, records)
    said = [result.status for result in results]
    return msgspec.json.encode(Answer(said.count("accepted"), said.count("duplicate"), said.count("rejected"), results))


def answer_json_push(who: Actor, body: bytes, _repeat: Repeat | None) -> bytes:
    """The same of a body that is JSON, for the express lane."""
    return answer_push(who, body, "application/json")
