"""Rotation of the encryption key: whatever a former key sealed is sealed by the newest, a batch at a time.

Everybody goes on meanwhile: the former keys open what was not reached yet. A batch changes only what is still as it was
read, so it may be ended anywhere and begun again. The known value of `key_checks` is sealed last: as long as a former
key sealed it, a rotation is not over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, text, update

from portal.audit import events
from portal.audit.record import record
from portal.core import crypto, settings
from portal.core.access import Capability, needs
from portal.core.crypto import BadSeal
from portal.core.data_keys import former_keys, kept_check, rewrap_keys, seal_check
from portal.core.database import db, dialect_name, writing_connection
from portal.core.envelopes import VERSION
from portal.core.errors import Conflict
from portal.core.own_secrets import put_new_key_first
from portal.core.text import gettext
from portal.mail.models import OutboxMail
from portal.messages.models import QuarantinedRecord
from portal.outside.models import Provider
from portal.privacy.models import DeletedUser
from portal.signin.models import Authenticator, SignInStep

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from portal.core.actor import Actor

BATCH = 200
# Those who begin a rotation on one PostgreSQL wait for each other by this number; SQLite has one writer anyway.
ONE_BEGINS = 0x646F6F73


@dataclass(frozen=True, slots=True)
class Step:
    """What a batch did: the last row looked at (None at the end), how many were sealed anew, how many do not open."""

    last: Any
    done: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Store:
    """One place where something is sealed by a key of ENCRYPTION_KEYS, in words; how much of it there is to look at;
    and how a batch of it is sealed anew, in the transaction at hand."""

    words: str
    count: Callable[[], int]
    turn: Callable[[Any], Step]


def _turn_keys(after: UUID | None) -> Step:
    writing_connection()
    return Step(*rewrap_keys(after, BATCH))


def _store_of(words: str, key: Any, sealed: Any, *wanted: Any) -> Store:
    """The store of a column, which is text or the bytes of text."""

    def count() -> int:
        return db.session.scalar(select(func.count()).select_from(key.class_).where(sealed.is_not(None), *wanted)) or 0

    def turn(after: Any) -> Step:
        writing_connection()
        query = select(key, sealed).where(sealed.is_not(None), *wanted).order_by(key).limit(BATCH)
        rows = db.session.execute(query.where(key > after) if after else query).all()
        done = lost = 0
        for row_id, box in rows:
            written = box if isinstance(box, str) else box.decode("ascii", "replace")
            if crypto.is_newest(written):
                continue
            try:
                fresh = crypto.reseal(written)
            except BadSeal:
                lost += 1
                continue
            change = update(key.class_).where(key == row_id, sealed == box)
            change = change.values({sealed: fresh if isinstance(box, str) else fresh.encode()})
            db.session.execute(change.execution_options(synchronize_session=False))
            done += 1
        return Step(rows[-1][0] if rows else None, done, lost)

    return Store(words, count, turn)


# Everything that a key of ENCRYPTION_KEYS seals by itself; what data keys seal goes with them. The known value of
# key_checks comes last, in finish_rotation.
STORES: tuple[Store, ...] = (
    Store("data keys", former_keys, _turn_keys),
    _store_of("mails", OutboxMail.id, OutboxMail.sealed),
    _store_of("steps of signing in", SignInStep.digest, SignInStep.facts),
    _store_of("authenticator apps", Authenticator.account_id, Authenticator.sealed_seed),
    _store_of("sign-in providers", Provider.id, Provider.sealed_secret),
    _store_of("deleted users", DeletedUser.user_id, DeletedUser.sealed),
    _store_of(
        "records set aside",
        QuarantinedRecord.id,
        QuarantinedRecord.sealed,
        func.substr(QuarantinedRecord.sealed, 1, 1) != VERSION,
    ),
)


@needs(Capability.ENCRYPTION_ROTATE)
def begin_rotation(actor: Actor) -> bool:
    """Make sure that a new key is there to rotate to: in development it is made, else ENCRYPTION_KEYS has it first.

    False when an earlier rotation was not over: it is gone on with. Raises Conflict: there is no new key.
    """
    writing_connection()
    if dialect_name() == "postgresql":
        db.session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": ONE_BEGINS})
    if not crypto.is_newest(kept_check() or ""):
        return False
    if not crypto.makes_own_keys():
        raise Conflict(
            gettext("There is no new key. Put one first in ENCRYPTION_KEYS, the present one behind it, and restart.")
        )
    put_new_key_first(settings.current().data_dir)
    return True


@needs(Capability.ENCRYPTION_ROTATE)
def finish_rotation(actor: Actor, *, count: int, lost_keys: int = 0) -> None:
    """Say that no former key is needed any more, after `count` values were sealed anew; `lost_keys` data keys are
    damaged and opened by none.

    Raises Conflict when one is: somebody still seals by it, for they were not started anew since it was put behind.
    """
    writing_connection()
    if former_keys() > lost_keys:
        raise Conflict(gettext("Something was sealed by a former key meanwhile. Restart every server, then go on."))
    seal_check()
    record(actor, events.ENCRYPTION_KEY_ROTATED, None, {"count": count})
