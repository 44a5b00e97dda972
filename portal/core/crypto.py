"""Digests, seals and signatures. Keys come from the settings of the running application."""

from __future__ import annotations

import hashlib
import hmac
import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from itsdangerous import BadSignature, URLSafeSerializer

from portal.core import settings
from portal.core.own_secrets import kept_keys


class BadSeal(Exception):
    """A sealed value does not open: tampered with, moved, or sealed under another key."""


def digest(secret: str) -> bytes:
    """SHA-256 of a random secret. Fit for tokens and keys of 128 random bits or more, never for passwords."""
    return hashlib.sha256(secret.encode()).digest()


def keyed_digest(purpose: str, text: str) -> str:
    """HMAC-SHA-256 of guessable text such as a reserved name, in hex, under a key of this installation."""
    return _keyed(settings.current().secret_key, purpose, text)


def keyed_digests(purpose: str, text: str) -> list[str]:
    """The same under the present SECRET_KEY and each former one, to find what was kept before a rotation."""
    now = settings.current()
    return [_keyed(secret, purpose, text) for secret in (now.secret_key, *now.secret_key_fallbacks)]


def _keyed(secret: str, purpose: str, text: str) -> str:
    key = hashlib.sha256(f"{purpose}\0{secret}".encode()).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def encryption_keys() -> tuple[str, ...]:
    """ENCRYPTION_KEYS, newest first. In development those of DATA_DIR as they are now: a rotation there puts a new one
    first while this process serves."""
    return _own_keys() or tuple(settings.current().encryption_keys)


def makes_own_keys() -> bool:
    """Whether the keys are those that this installation made for itself, as in development, and not given to it."""
    return bool(_own_keys())


def _own_keys() -> tuple[str, ...]:
    now = settings.current()
    kept = () if now.production else kept_keys(now.data_dir)
    return kept if now.encryption_keys[0] in kept else ()


@lru_cache(maxsize=8)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def seal(value: dict[str, Any], *, place: str) -> str:
    """Encrypt and authenticate a JSON object, bound to `place` (table and row) so that it cannot be moved."""
    text = json.dumps({"place": place, "value": value}, separators=(",", ":"))
    return _box(encryption_keys()).encrypt(text.encode()).decode()


def unseal(sealed: str, *, place: str) -> dict[str, Any]:
    """What was sealed at `place`. Raises BadSeal."""
    try:
        opened = json.loads(_box(encryption_keys()).decrypt(sealed.encode()))
    except InvalidToken as error:
        raise BadSeal(place) from error
    if opened["place"] != place:
        raise BadSeal(place)
    value: dict[str, Any] = opened["value"]
    return value


def is_newest(sealed: str) -> bool:
    """Whether what `seal` made opens with the newest key alone."""
    try:
        _box(encryption_keys()[:1]).decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True


def reseal(sealed: str) -> str:
    """The same, sealed by the newest key. Raises BadSeal."""
    try:
        return _box(encryption_keys()).rotate(sealed.encode()).decode()
    except InvalidToken as error:
        raise BadSeal("unknown") from error


def _signer(purpose: str) -> URLSafeSerializer:
    now = settings.current()
    return URLSafeSerializer([*now.secret_key_fallbacks, now.secret_key], salt=purpose)


def sign(value: Any, *, purpose: str) -> str:
    """An opaque text that holds `value` and can be checked to come from here."""
    return str(_signer(purpose).dumps(value))


def unsign(text: str, *, purpose: str) -> Any | None:
    """The value that was signed for this purpose, or None when it was not."""
    try:
        return _signer(purpose).loads(text)
    except BadSignature:
        return None
