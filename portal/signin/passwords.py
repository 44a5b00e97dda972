"""Passwords: what is accepted, and hashing that never starves other work.

A password is NFKC-normalised, pre-hashed (base64 of SHA-384 over a fixed label and the password) and then
given to bcrypt, which reads 72 bytes at most. The scheme tag beside the hash says so.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import resources

import bcrypt

from portal.core import database, settings
from portal.core.errors import Invalid, LimitReached
from portal.core.text import folded, gettext

SCHEME = "s384$"
LABEL = b"doorward password 1\0"
MOST = 1024
LEAST_FOR_STAFF = 15
_at_once = threading.BoundedSemaphore(max(1, (os.cpu_count() or 2) - 1))
_waiting = threading.Semaphore(8)


def _prepared(password: str) -> bytes:
    text = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return base64.b64encode(hashlib.sha384(LABEL + text).digest())


@contextmanager
def _turn() -> Iterator[None]:
    """One of the few hashing places; a queue that is full answers 429 at once instead of growing."""
    if database.in_transaction():
        raise RuntimeError("hashing inside a transaction holds everybody up")
    if not _waiting.acquire(blocking=False):
        raise LimitReached(gettext("Many people are signing in just now. Try again in a moment."), retry_after=2)
    try:
        with _at_once:
            yield
    finally:
        _waiting.release()


def hash_password(password: str) -> str:
    """The hash to store, with its scheme tag. Raises LimitReached when too many hash at once."""
    with _turn():
        made = bcrypt.hashpw(_prepared(password), bcrypt.gensalt(settings.current().bcrypt_cost))
    return SCHEME + made.decode()


@lru_cache(maxsize=4)
def _decoy(cost: int) -> bytes:
    return bcrypt.hashpw(b"nobody", bcrypt.gensalt(cost))


def check_password(password: str, stored: str | None) -> bool:
    """Whether the password opens the hash. No hash takes as long as a wrong password. Raises LimitReached."""
    decoy = _decoy(settings.current().bcrypt_cost)
    with _turn():
        if stored is None:
            bcrypt.checkpw(_prepared(password), decoy)
            return False
        if stored.startswith(SCHEME):
            return bcrypt.checkpw(_prepared(password), stored.removeprefix(SCHEME).encode())
        return bcrypt.checkpw(password.encode("utf-8", "surrogatepass")[:72], stored.encode())


def needs_upgrade(stored: str) -> bool:
    """Whether a hash is of an older scheme or a lower cost than the settings ask for."""
    if not stored.startswith(SCHEME):
        return True
    return int(stored.removeprefix(SCHEME).split("$")[2]) < settings.current().bcrypt_cost


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    listed = resources.files("portal.signin").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(listed.split("\n"))


def check_policy(password: str, *, kind: str, username: str = "", email: str = "", field: str = "password") -> None:
    """Refuse what is too short, too common, or holds the person's or the site's name. Raises Invalid at `field`."""
    length = len(unicodedata.normalize("NFKC", password))
    least = settings.current().password_min_length
    if kind != "user":
        least = max(least, LEAST_FOR_STAFF)
    low = folded(password)
    if length < least:
        raise Invalid({field: gettext("Use at least %(least)s characters.", least=least)})
    if length > MOST:
        raise Invalid({field: gettext("Use at most %(most)s characters.", most=MOST)})
    if low in _common():
        raise Invalid({field: gettext("This password is on lists of common ones. Choose another.")})
    for part in (folded(username), folded(email).partition("@")[0], folded(settings.current().site_name)):
        if len(part) >= 3 and part in low:
            raise Invalid({field: gettext("Leave your name and the name of this site out of it.")})
