"""How a key looks: `dw_`, 43 signs of randomness, 6 of checksum. docs/keys.md tells it to scanners."""

from __future__ import annotations

import zlib

from portal.core.ids import new_secret

KEY_PREFIX = "dw_"
SHOWN = 10
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def checksum(body: str) -> str:
    """Six characters by which a scanner tells a real key from a look-alike, offline: the last six digits of the
    CRC-32 in base 36."""
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        value, rest = divmod(value, 36)
        digits = ALPHABET[rest] + digits
    return digits


def make_secret() -> str:
    """A fresh key: prefix, 256 random bits, checksum."""
    body = new_secret(32)
    return f"{KEY_PREFIX}{body}{checksum(body)}"


def well_formed(typed: str) -> bool:
    """Whether this can be a key of ours at all."""
    body = typed.removeprefix(KEY_PREFIX)
    fits = typed.startswith(KEY_PREFIX) and len(body) == 49 and typed.isascii()
    return fits and body[43:] == checksum(body[:43])
