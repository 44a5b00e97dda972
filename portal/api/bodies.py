"""Reading JSON bodies: strict about the type, the encoding, the fields and the size."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import orjson
from flask import request

from portal.core.errors import Invalid, Malformed, UnsupportedType
from portal.core.text import gettext, model_name
from portal.web.requests import unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterable

S = TypeVar("S", bound=msgspec.Struct)
# What the decoder says of a member that is not where it looked: the pointer names that member, not what holds it.
MEMBER = re.compile(r"Object (?:contains unknown|missing required) field `(.*)`", flags=re.S)
MOST_NAMED = 100
MOST_MODEL = 80
_decoders: dict[type[msgspec.Struct], msgspec.json.Decoder[msgspec.Struct]] = {}


def read_body(shape: type[S]) -> S:
    """The body as this shape. Raises UnsupportedType, Malformed (not JSON), Invalid (JSON, but not this shape)."""
    return decode(shape, json_body())


def json_body() -> bytes:
    """The bytes of a body that says it is JSON. Raises UnsupportedType."""
    asked = unwrapped(request)
    if asked.content_type != "application/json" or "HTTP_CONTENT_ENCODING" in asked.environ:
        require_media_type(("application/json",))
    data: bytes = asked.get_data()
    return data


def decode(shape: type[S], body: bytes) -> S:
    """JSON as this shape. Raises Malformed, Invalid."""
    decoder = _decoders.get(shape)
    if decoder is None:
        decoder = _decoders.setdefault(shape, msgspec.json.Decoder(shape))
    try:
        made = decoder.decode(body)
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at `$")
        pointer = path.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
        if member := MEMBER.fullmatch(words):
            pointer += "/" + member[1][:MOST_NAMED].replace("~", "~0").replace("/", "~1")
        raise Invalid({pointer or "/": words}) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Malformed(gettext("This is not valid JSON in UTF-8.")) from None
    if not isinstance(made, shape):
        raise Malformed
    _check_once(body)
    return made


def _check_once(body: bytes) -> None:
    """Raise Malformed where an object names a member twice: the reader takes the last of them without a word, and
    others on the way may have read the first (RFC 8259, 4).

    What was read and is written again has lost a colon with each member that was lost; only one in an escape hides.
    """
    if b"\\u003" not in body and orjson.dumps(orjson.loads(body)).count(b":") == body.count(b":"):
        return

    def joined(members: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in members:
            if name in seen:
                raise Malformed(gettext("A field is given twice: %(name)s", name=name[:MOST_NAMED]))
            seen.add(name)

    json.loads(body, object_pairs_hook=joined)


def check_json(body: bytes) -> None:
    """Raise Malformed unless this is one JSON value with nothing behind it."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Malformed(gettext("This is not valid JSON in UTF-8.")) from None


def require_media_type(allowed: Iterable[str]) -> str:
    """The media type of the body. Raises UnsupportedType for another one, and for a body that is packed: a few bytes
    could be very many (RFC 9110, 15.5.16)."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedType(gettext("Send this as it is, without Content-Encoding."))
    if request.mimetype not in allowed:
        raise UnsupportedType(gettext("Send this as %(types)s.", types=", ".join(allowed)))
    return request.mimetype


def check_text(pointer: str, text: str, most: int) -> str:
    """A text that databases can keep. Raises Invalid."""
    if len(text) > most or "\0" in text:
        raise Invalid({pointer: gettext("A text of at most %(most)s characters, without NUL.", most=most)})
    return text


def check_model(pointer: str, text: str) -> str:
    """A model's name in its one form. Raises Invalid."""
    return check_text(pointer, model_name(text), MOST_MODEL)
