"""Answering a repeated call again: by (caller, Idempotency-Key), for 24 hours."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from portal.core import clock, hot
from portal.core import settings as current_settings
from portal.core.database import db, instant_of_raw, raw_id, raw_instant, writing_connection
from portal.core.errors import Conflict, Invalid, PortalError
from portal.core.statements import both
from portal.core.text import gettext, lazy_gettext
from portal.repeats.models import KeptAnswer

if TYPE_CHECKING:
    from uuid import UUID

KEPT = timedelta(hours=24)
KEY = re.compile(r"[\x21-\x7e]{1,255}")
BATCH = 5_000

FIND = "SELECT fingerprint, status, body, created_at FROM kept_answers WHERE caller_id = :caller AND key = :key"
FORGET = "DELETE FROM kept_answers WHERE caller_id = :caller AND key = :key AND created_at <= :until"
KEEP = """
INSERT INTO kept_answers (caller_id, key, fingerprint, status, body, created_at)
VALUES (:caller, :key, :fingerprint, :status, :body, :at)
ON CONFLICT (caller_id, key) DO NOTHING RETURNING status
"""
SQLITE, POSTGRES = both({"FIND": FIND, "FORGET": FORGET, "KEEP": KEEP})


class Mismatch(PortalError):
    """The key stands for another call already."""

    status = 422
    code = "IDEMPOTENCY_MISMATCH"
    title = lazy_gettext("Another call had this key")
    words = lazy_gettext("This Idempotency-Key was used for another call in the last 24 hours. Use a new one.")


@dataclass(frozen=True, slots=True)
class Repeat:
    """One call that names itself by a key. `fingerprint` is a digest of method, path and body."""

    caller: UUID
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Replay:
    """What was answered the first time."""

    status: int
    body: bytes


def repeat_of(caller: UUID, key: str, *parts: bytes) -> Repeat:
    """The call of this caller with this key. Raises Invalid for a key that is none."""
    if not KEY.fullmatch(key):
        raise Invalid({"/Idempotency-Key": gettext("1 to 255 visible ASCII characters.")})
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return Repeat(caller, key, found.digest())


def replay_of(repeat: Repeat) -> Replay | None:
    """The kept answer, if there is one. Raises Mismatch."""
    return hot.read_together(lambda raw: find_in(raw, repeat))


def find_in(raw: Any, repeat: Repeat) -> Replay | None:
    """The kept answer, read on this raw connection. Raises Mismatch."""
    row = raw.execute(_texts()["FIND"], {"caller": raw_id(repeat.caller), "key": repeat.key}).fetchone()
    if row is None:
        return None
    kept_at = instant_of_raw(row[3])
    if kept_at is None or kept_at <= clock.now() - KEPT:
        return None
    if bytes(row[0]) != repeat.fingerprint:
        raise Mismatch
    return Replay(row[1], bytes(row[2]))


def keep_in(raw: Any, repeat: Repeat, status: int, body: bytes) -> bool:
    """Keep the answer in the transaction of the act. False when a rival kept one first."""
    now = clock.now()
    names = {"caller": raw_id(repeat.caller), "key": repeat.key}
    raw.execute(_texts()["FORGET"], {**names, "until": raw_instant(now - KEPT)})
    values = {**names, "fingerprint": repeat.fingerprint, "status": status, "body": body, "at": raw_instant(now)}
    return raw.execute(_texts()["KEEP"], values).fetchone() is not None


def keep(repeat: Repeat, status: int, body: bytes) -> None:
    """Keep the answer in the session's transaction. Raises Conflict when a rival kept one first."""
    if not keep_in(writing_connection(), repeat, status, body):
        raise Conflict(gettext("The first call with this Idempotency-Key is still running."))


def forget_kept() -> int:
    """Forget a batch of answers older than 24 hours; for a job. Answers how many."""
    old = db.session.execute(
        select(KeptAnswer.caller_id, KeptAnswer.key).where(KeptAnswer.created_at <= clock.now() - KEPT).limit(BATCH)
    ).all()
    for caller, key in old:
        db.session.execute(delete(KeptAnswer).where(KeptAnswer.caller_id == caller, KeptAnswer.key == key))
    return len(old)


def _texts() -> dict[str, str]:
    return SQLITE if current_settings.current().sqlite else POSTGRES
