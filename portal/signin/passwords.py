"""Passwords: what is accepted, how it is kept, and what opens.

A password is NFKC-normalised, pre-hashed (base64 of SHA-384 over a fixed label and the password) and then given to
bcrypt, which reads 72 bytes at most. The scheme tag beside the hash says so; plain bcrypt hashes from elsewhere open
too, and are replaced at the next sign-in.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from functools import lru_cache
from importlib import resources

import bcrypt

from portal.core import settings
from portal.core.errors import Invalid
from portal.core.text import folded, gettext
from portal.signin.hashing import hashed

SCHEME = "s384$"
LABEL = b"doorward password 1\0"
MOST = 1024
LEAST_FOR_STAFF = 15
# Whatever else stands in the column opens nothing. A higher cost than the settings may ask for would hash for hours.
_STORED = re.compile(r"(?P<scheme>s384\$)?(?P<hash>\$2[aby]\$(?P<cost>0[4-9]|1[0-6])\$[./A-Za-z0-9]{53})", re.ASCII)


def prepared(password: str) -> bytes:
    """What bcrypt is given of a password: as long for every one."""
    text = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return base64.b64encode(hashlib.sha384(LABEL + text).digest())


def hash_password(password: str) -> str:
    """The hash to store, with its scheme tag. Raises LimitReached when too many hash at once."""
    cost = settings.current().bcrypt_cost
    return SCHEME + hashed(lambda: bcrypt.hashpw(prepared(password), bcrypt.gensalt(cost))).decode()


def check_password(password: str, stored: str | None) -> bool:
    """Whether the password opens the hash. No hash, one that cannot be read, and one of a lower cost take as long as
    a wrong password. Raises LimitReached when too many hash at once."""
    known = _STORED.fullmatch(stored or "")
    wanted = settings.current().bcrypt_cost

    def check() -> bool:
        if known is None:
            bcrypt.hashpw(prepared(password), bcrypt.gensalt(wanted))
            return False
        # Plain bcrypt looks at 72 bytes, and earlier versions cut what was longer.
        plain = password.encode("utf-8", "surrogatepass")[:72]
        right = bcrypt.checkpw(prepared(password) if known["scheme"] else plain, known["hash"].encode())
        if not right:
            # 2^c more, and the double of it, and so on: together as much as one of the wanted cost.
            for cost in range(int(known["cost"]), wanted):
                bcrypt.hashpw(prepared(password), bcrypt.gensalt(cost))
        return right

    return hashed(check)


def needs_upgrade(stored: str) -> bool:
    """Whether a hash is of an older scheme or a lower cost than the settings ask for."""
    known = _STORED.fullmatch(stored)
    return known is None or not known["scheme"] or int(known["cost"]) < settings.current().bcrypt_cost


def least_for(kind: str) -> int:
    """How many characters a password of this kind of account has at least. Where a second factor is required of staff
    or admins, theirs need be no longer than a user's."""
    now = settings.current()
    if kind == "user" or kind in now.require_factor:
        return now.password_min_length
    return max(now.password_min_length, LEAST_FOR_STAFF)


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    listed = resources.files("portal.signin").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(listed.split("\n"))


def check_policy(password: str, *, kind: str, username: str = "", email: str = "", field: str = "password") -> None:
    """Refuse what is too short, too common, or holds the person's or the site's name. Raises Invalid at `field`."""
    length = len(unicodedata.normalize("NFKC", password))
    least = least_for(kind)
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
