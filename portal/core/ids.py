"""Ids that are shown outside: UUID version 7 (RFC 9562), ordered by time and never guessable from a neighbour."""

from __future__ import annotations

import os
import secrets
from uuid import UUID

from portal.core import clock


def new_id() -> UUID:
    """A new UUID version 7: milliseconds, 12 bits of their fraction, then 62 random bits (RFC 9562, 5.7 and 6.2).

    The fraction keeps what is made one after the other in that order.
    """
    return UUID(int=_new_value())


def new_hex() -> str:
    """The 32 hex digits of a new id, for where only they are wanted: that is half the work."""
    return f"{_new_value():032x}"


def _new_value() -> int:
    microseconds = int(clock.now().timestamp() * 1_000_000)
    milliseconds, rest = divmod(microseconds, 1000)
    value = milliseconds << 80 | 0x7 << 76 | (rest * 4096 // 1000) << 64
    return value | 0x2 << 62 | int.from_bytes(os.urandom(8), "big") >> 2


def parse_id(text: str) -> UUID | None:
    """The id a person or program typed, or None when it is not one."""
    try:
        return UUID(text)
    except (ValueError, AttributeError):
        return None


def new_secret(random_bytes: int = 32) -> str:
    """A secret fit for a URL or a header, with `random_bytes` of randomness."""
    return secrets.token_urlsafe(random_bytes)
