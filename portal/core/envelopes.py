"""Envelopes: bytes sealed with AES-256-GCM under a key of their own, and such keys wrapped by ENCRYPTION_KEYS.

Each envelope is bound to its place (table, column, row), so that two of them cannot change places unnoticed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import urlsafe_b64decode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portal.core.crypto import BadSeal, encryption_keys

VERSION = b"\x01"
NONCE = 12
KEY = 32


def new_key() -> bytes:
    """A fresh 256-bit key."""
    return AESGCM.generate_key(KEY * 8)


def enclose(key: bytes, value: bytes, *, place: str) -> bytes:
    """Encrypt and authenticate `value` under `key`, bound to `place` ("table.column:row")."""
    nonce = os.urandom(NONCE)
    return VERSION + nonce + AESGCM(key).encrypt(nonce, value, place.encode())


def disclose(key: bytes, sealed: bytes, *, place: str) -> bytes:
    """What was enclosed under this key at this place. Raises BadSeal."""
    if not is_envelope(sealed):
        raise BadSeal(place)
    try:
        return AESGCM(key).decrypt(sealed[1 : 1 + NONCE], sealed[1 + NONCE :], place.encode())
    except (InvalidTag, ValueError) as error:
        raise BadSeal(place) from error


def is_envelope(sealed: bytes) -> bool:
    """Whether these bytes are written as envelopes are."""
    return sealed[:1] == VERSION


def key_id(master: str) -> str:
    """By which a key of ENCRYPTION_KEYS is named beside what it wraps; it tells nothing of the key."""
    return hashlib.sha256(f"doorward key id\0{master}".encode()).hexdigest()[:16]


def newest_id() -> str:
    """The name of the key that wraps now."""
    return key_id(encryption_keys()[0])


def known_ids() -> list[str]:
    """The names of all keys of ENCRYPTION_KEYS, newest first."""
    return [key_id(master) for master in encryption_keys()]


def wrap_key(key: bytes, *, place: str) -> tuple[bytes, str]:
    """(the key, sealed by the newest of ENCRYPTION_KEYS; the name of that one)."""
    master = encryption_keys()[0]
    return enclose(_wrapping(master), key, place=place), key_id(master)


def unwrap_key(wrapped: bytes, by: str, *, place: str) -> bytes:
    """What wrap_key wrapped. Raises BadSeal, also when the key of that name is not among ENCRYPTION_KEYS."""
    for master in encryption_keys():
        if key_id(master) == by:
            return disclose(_wrapping(master), wrapped, place=place)
    raise BadSeal(place)


def _wrapping(master: str) -> bytes:
    """A key for this use only, so that no key seals in two ways."""
    return hmac.new(urlsafe_b64decode(master), b"doorward data keys", hashlib.sha256).digest()
