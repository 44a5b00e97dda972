"""Signatures of what the chain came to: Ed25519 (RFC 8032), by a key made from SECRET_KEY (HKDF, RFC 5869)."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from portal.core import settings

LABEL = b"doorward audit roots 1"


def sign(said: dict[str, Any]) -> bytes:
    """A signature of plain words and numbers, 64 bytes."""
    return _key(settings.current().secret_key).sign(_bytes(said))


def is_signed(said: dict[str, Any], signature: bytes) -> bool:
    """Whether this installation signed that, now or under a SECRET_KEY of SECRET_KEY_FALLBACKS."""
    now = settings.current()
    return any(_is_by(secret, said, signature) for secret in (now.secret_key, *now.secret_key_fallbacks))


def public_key() -> str:
    """The key that checks present signatures, 64 hex digits."""
    return _key(settings.current().secret_key).public_key().public_bytes_raw().hex()


def _is_by(secret: str, said: dict[str, Any], signature: bytes) -> bool:
    checker: Ed25519PublicKey = _key(secret).public_key()
    try:
        checker.verify(signature, _bytes(said))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=8)
def _key(secret: str) -> Ed25519PrivateKey:
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=LABEL).derive(secret.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)


def _bytes(said: dict[str, Any]) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode("ascii")
