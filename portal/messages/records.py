"""Taking a body apart into records: each is read on its own, and one that cannot be read leaves the others alone."""

from __future__ import annotations

import json
import re
from collections import Counter
from io import BytesIO
from typing import TYPE_CHECKING, Any, NoReturn

import orjson

from portal.core.text import gettext
from portal.messages.shape import MOST_DEPTH, BadRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_RECORDS = 1000
NDJSON = "application/x-ndjson"
HEAD = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"records"[ \t\r\n]*:[ \t\r\n]*\[[ \t\r\n]*')
TAIL = re.compile(rb"[ \t\r\n]*\}[ \t\r\n]*")
# Nothing in it goes back, and a text without an end goes on to the last byte: no body takes longer than its length.
TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},]', flags=re.S)
OPEN, CLOSE = (b"[", b"{"), (b"]", b"}")


class NoJson(ValueError):
    """A body that is no JSON at all, or a batch of another shape; the text says which."""


class UnreadableRecord(BadRecord):
    """A record that is JSON of a sort, but nothing that can be kept. `said_id`: the id it gave, if that can be read."""

    def __init__(self, words: str, said_id: Any = None) -> None:
        super().__init__(words)
        self.said_id = said_id


def split_body(raw: bytes, media_type: str) -> list[Any]:
    """The records of a body: one object, {"records": […]}, or NDJSON; at most one more than may be sent at once.

    One that cannot be read stands there as its UnreadableRecord; what it must hold is judged later. Raises ValueError.
    """
    if media_type == NDJSON:
        return _lines_of(raw)
    body = _read(raw)
    if body is not None:
        return _records_of(body)
    batch = HEAD.match(raw)
    if batch is None:
        return _records_of(_read_anyhow(raw))
    return [_read_anyhow(piece) for piece in _pieces(raw, batch.end())]


def _lines_of(raw: bytes) -> list[Any]:
    records: list[Any] = []
    for line in BytesIO(raw):
        if line.isspace():
            continue
        try:
            records.append(_read_anyhow(line))
        except ValueError as error:
            records.append(UnreadableRecord(str(error)))
        if len(records) > MOST_RECORDS:
            break
    return records


def _records_of(body: Any) -> list[Any]:
    if not isinstance(body, dict) or "records" not in body:
        return [body]
    records = body["records"]
    if len(body) > 1 or not isinstance(records, list):
        raise NoJson(gettext("records must be a list, and the only field"))
    return records


def _read(raw: bytes) -> Any:
    """The value, if it is JSON that names nothing twice; else None (as null is: that is no record either)."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    # Members that were lost to a later one of their name took their colon along; one may hide in an escape.
    if b"\\u003" in raw:
        return None
    try:
        return value if orjson.dumps(value).count(b":") == raw.count(b":") else None
    except orjson.JSONEncodeError:  # nested deeper than it writes
        return None


def _read_anyhow(piece: bytes) -> Any:
    """The value of one record, or why it cannot be one. Raises ValueError: NoJson, or what the reader says."""
    value = _read(piece)
    if value is not None:
        return value
    if _depth_of(piece) > 2 * MOST_DEPTH:
        return UnreadableRecord(gettext("nested more than %(most)s deep", most=MOST_DEPTH))
    twice: list[str] = []
    beyond: list[str] = []

    def joined(members: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(members)
        if len(made) != len(members):
            twice.append(Counter(name for name, _ in members).most_common(1)[0][0])
        return made

    def number(digits: str) -> float:
        if (made := float(digits)) in {float("inf"), float("-inf")}:
            beyond.append(digits)
        return made

    try:
        value = json.loads(
            piece.decode(), object_pairs_hook=joined, parse_int=number, parse_float=number, parse_constant=_refuse
        )
    except ValueError:
        _refuse()
    said = value.get("id") if isinstance(value, dict) else None
    said = said if isinstance(said, str) and not _is_broken(said) else None
    if _is_broken(json.dumps(value, ensure_ascii=False)):
        return UnreadableRecord(gettext("a text holds half a character (a lone surrogate)"), said)
    if beyond:
        return UnreadableRecord(gettext("a number is out of range: %(number)s", number=beyond[0][:40]), said)
    if twice:
        return UnreadableRecord(gettext("a field is given twice: %(name)s", name=twice[0][:60]), said)
    return orjson.loads(piece)


def _refuse(_constant: str = "") -> NoReturn:
    raise NoJson(gettext("this is not valid JSON in UTF-8"))


def _is_broken(text: str) -> bool:
    """Whether it holds what UTF-8 cannot carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _depth_of(piece: bytes) -> int:
    depth = most = 0
    for token in TOKEN.finditer(piece):
        if token[0] in OPEN:
            depth += 1
            most = max(most, depth)
        elif token[0] in CLOSE:
            depth -= 1
    if depth:
        _refuse()
    return most


def _pieces(raw: bytes, start: int) -> Iterator[bytes]:
    """The elements of the list that begins here, and is all that its object holds, however deep they nest."""
    depth = count = 0
    for token in TOKEN.finditer(raw, start):
        word = token[0]
        if word in OPEN:
            depth += 1
        elif word in CLOSE and depth:
            depth -= 1
        elif word == b"," and not depth:
            yield raw[start : token.start()]
            start, count = token.end(), count + 1
            if count > MOST_RECORDS:
                return
        elif word == b"]":
            yield raw[start : token.start()]
            if TAIL.fullmatch(raw, token.end()) is None:
                raise NoJson(gettext("records must be a list, and the only field"))
            return
        elif word == b"}":
            break
    _refuse()
