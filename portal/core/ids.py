"""Ids that are shown outside: UUID version 7 (RFC 9562), ordered by time and never guessable from a neighbour."""

from __future__ import annotations

import os
import re
import secrets
import struct
from typing import TYPE_CHECKING
from uuid import UUID

from portal.core import clock

if TYPE_CHECKING:
    from datetime import datetime

AT_ONCE = 64
SPELLING = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")
_drawn: list[int] = []


def new_id() -> UUID:
    """A new UUID version 7: milliseconds, 12 bits of their fraction, then 62 random bits (RFC 9562, 5.7 and 6.2).

    The fraction keeps what is made one after the other in that order.
    """
    return UUID(int=_new_value())


def earliest_id(instant: datetime) -> UUID:
    """The least id that may be made at this instant or later: ids below it are older."""
    return UUID(int=int(instant.timestamp() * 1000) << 80)


def new_hex() -> str:
    """The 32 hex digits of a new id, for where only they are wanted: that is half the work."""
    return f"{_new_value():032x}"


def _new_value() -> int:
    milliseconds, rest = divmod(clock.microseconds(), 1000)
    value = milliseconds << 80 | 0x7 << 76 | (rest * 4096 // 1000) << 64
    return value | 0x2 << 62 | _random_bits() >> 2


def _random_bits() -> int:
    """64 random bits; a call of the system fetches many, for it costs as much as the rest of an id."""
    try:
        return _drawn.pop()
    except IndexError:
        _drawn.extend(struct.unpack(f"{AT_ONCE}Q", os.urandom(8 * AT_ONCE)))
        return _random_bits()


# A forked process would draw what its parent draws.
os.register_at_fork(after_in_child=_drawn.clear)


def parse_id(text: str) -> UUID | None:
    """The id a person or program typed, or None when it is not one. As we write them, with hyphens or without: of the
    other ways to spell a UUID (urn:, braces) routes know none either."""
    return UUID(text) if SPELLING.fullmatch(text) else None


def new_secret(random_bytes: int = 32) -> str:
    """A secret fit for a URL or a header, with `random_bytes` of randomness."""
    return secrets.token_urlsafe(random_bytes)
