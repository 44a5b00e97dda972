"""Decision ids. That of a success is signed and stored nowhere: it says by itself what was spent, so that a refund
needs no record of every call. That of a refusal names its row."""

from __future__ import annotations

import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from portal.core import settings

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "ok_"
MOST_LENGTH = 300
_FORM = struct.Struct(">B16s16s16sIIIII")
_VERSION = 1
_SEAL = 16


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What was spent: `plan_credits` and `own_credits` say from which balance."""

    id: UUID
    user_id: UUID
    key_id: UUID
    day: date
    conversations: int
    plan_credits: int
    own_credits: int
    model: str

    @property
    def made_at(self) -> datetime:
        """The instant in the id (UUID version 7)."""
        return datetime.fromtimestamp((self.id.int >> 80) / 1000, UTC)


@lru_cache(maxsize=8)
def _key(secret: str) -> bytes:
    return hashlib.sha256(b"decision\0" + secret.encode()).digest()


def sign_decision(decision: Decision) -> str:
    """The decision as the text that is handed out."""
    body = (
        _FORM.pack(
            _VERSION,
            decision.id.bytes,
            decision.user_id.bytes,
            decision.key_id.bytes,
            decision.day.toordinal(),
            decision.conversations,
            decision.plan_credits,
            decision.own_credits,
            len(decision.model),
        )
        + decision.model.encode()
    )
    seal = _seal(settings.current().secret_key, body)
    return PREFIX + urlsafe_b64encode(body + seal).decode().rstrip("=")


def read_decision(text: str) -> Decision | None:
    """The decision in a text that we signed, under the present secret or a former one; else None."""
    if not text.startswith(PREFIX) or len(text) > MOST_LENGTH * 2:
        return None
    coded = text[len(PREFIX) :]
    try:
        sealed = urlsafe_b64decode(coded.encode("ascii") + b"=" * (-len(coded) % 4))
    except (NotBase64, ValueError):
        return None
    body, seal = sealed[:-_SEAL], sealed[-_SEAL:]
    now = settings.current()
    if len(body) < _FORM.size or not _fits(body, seal, (now.secret_key, *now.secret_key_fallbacks)):
        return None
    # One spelling each: the loose bits at the end of base64 would give a decision a second name.
    if urlsafe_b64encode(sealed).decode().rstrip("=") != coded:
        return None
    _, id_, user, key, day, conversations, plan, own, _ = _FORM.unpack(body[: _FORM.size])
    model = body[_FORM.size :].decode()
    return Decision(
        UUID(bytes=id_), UUID(bytes=user), UUID(bytes=key), date.fromordinal(day), conversations, plan, own, model
    )


def _fits(body: bytes, seal: bytes, secrets: Iterable[str]) -> bool:
    return any(hmac.compare_digest(_seal(secret, body), seal) for secret in secrets)


def _seal(secret: str, body: bytes) -> bytes:
    """BLAKE2b as a keyed hash (RFC 7693, section 2.1): half the time of HMAC, and this is a hot route."""
    return hashlib.blake2b(body, key=_key(secret), digest_size=_SEAL).digest()


def refusal_id(user_id: UUID, key_id: UUID, code: str, instant: datetime) -> UUID:
    """The id of the row of such refusals in the minute of this instant: UUID version 8 (RFC 9562), ordered by time.

    Made with a secret, so that nobody can tell one from a user's id.
    """
    minute = int(instant.timestamp()) // 60
    told = _seal(
        settings.current().secret_key,
        b"refusal" + user_id.bytes + key_id.bytes + code.encode() + minute.to_bytes(8, "big"),
    )
    value = int.from_bytes(told[:10], "big") | (minute * 60_000) << 80
    value = value & ~(0xF << 76) | 0x8 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)
