"""Ids that are shown outside: UUID version 7 (RFC 9562), ordered by time and never guessable from a neighbour."""

from __future__ import annotations

import os
import secrets
from uuid import UUID

from portal.core import clock


def new_id() -> UUID:
    """A new UUID version 7: 48 bits of milliseconds, then 74 random bits (RFC 9562, section 5.7)."""
    milliseconds = int(clock.now().timestamp() * 1000)
    value = int.from_bytes(os.urandom(10), "big") | milliseconds << 80
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def parse_id(text: str) -> UUID | None:
    """The id a person or program typed, or None when it is not one."""
    try:
        return UUID(text)
    except (ValueError, AttributeError):
        return None


def new_secret(random_bytes: int = 32) -> str:
    """A secret fit for a URL or a header, with `random_bytes` of randomness."""
    return secrets.token_urlsafe(random_bytes)
