"""A user's own keys: make, name, list, revoke."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from portal.accounts.models import User
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock, crypto
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import Conflict, Invalid, NotFound
from portal.core.ids import new_id, new_secret
from portal.core.text import BadName, clean_line, gettext
from portal.keys.models import ApiKey
from portal.usage.models import CreditBalance
from portal.usage.plans import plan_of

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

KEY_PREFIX = "dw_"
SHOWN = 10
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `secret` is shown this once and kept nowhere."""

    key: ApiKey
    secret: str


def checksum(body: str) -> str:
    """Six characters by which a scanner tells a real key from a look-alike, offline (CRC-32 in base 36)."""
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
    return typed.startswith(KEY_PREFIX) and len(body) == 49 and body[43:] == checksum(body[:43])


def target_of(key: ApiKey) -> Target:
    """A key as the target of an audit entry."""
    return Target("key", key.id, key.prefix)


def _checked_name(name: str) -> str:
    try:
        name = clean_line(name, most=60)
    except BadName as error:
        raise Invalid({"name": str(error)}) from None
    if not name:
        raise Invalid({"name": gettext("Give the key a name, so that you know it again.")})
    return name


def build_key(user_id: UUID, name: str) -> NewKey:
    """A key and its secret, not yet stored: also used by the demo data."""
    secret = make_secret()
    key = ApiKey(
        id=new_id(),
        user_id=user_id,
        name=name,
        prefix=secret[:SHOWN],
        digest=crypto.digest(secret),
        scopes=[],
        networks=[],
        created_at=clock.now(),
    )
    return NewKey(key, secret)


@needs(Capability.OWN_KEYS)
def create_key(actor: Actor, *, name: str) -> NewKey:
    """A new key of the actor's own, as far as the plan allows. Raises Invalid, Conflict."""
    user = db.session.get(User, actor.id)
    if user is None:
        raise NotFound
    name = _checked_name(name)
    # The owner's balance row is locked first, so that many at once cannot pass the plan's number of keys.
    db.session.execute(
        update(CreditBalance)
        .where(CreditBalance.user_id == user.id)
        .values(own_credits=CreditBalance.own_credits)
        .execution_options(synchronize_session=False)
    )
    held = db.session.scalar(
        select(func.count()).select_from(ApiKey).where(ApiKey.user_id == user.id, ApiKey.revoked_at.is_(None))
    )
    most = plan_of(user).key_count
    if (held or 0) >= most:
        raise Conflict(gettext("Your plan allows %(most)s keys. Revoke one first.", most=most))
    made = build_key(user.id, name)
    db.session.add(made.key)
    record(actor, events.KEY_CREATED, target_of(made.key), {"name": name, "prefix": made.key.prefix})
    return made


@needs(Capability.OWN_KEYS)
def own_keys(actor: Actor) -> list[ApiKey]:
    """The actor's keys, living ones first, newest first."""
    query = select(ApiKey).where(ApiKey.user_id == actor.id)
    return list(db.session.scalars(query.order_by(ApiKey.revoked_at.is_not(None), ApiKey.created_at.desc()).limit(200)))


@needs(Capability.OWN_KEYS)
def own_key(actor: Actor, key_id: UUID) -> ApiKey:
    """One of the actor's keys. Raises NotFound, for others' keys too."""
    key = db.session.get(ApiKey, key_id)
    if key is None or key.user_id != actor.id:
        raise NotFound
    return key


@needs(Capability.OWN_KEYS)
def rename_key(actor: Actor, key_id: UUID, name: str) -> ApiKey:
    """Give a key another name. Raises NotFound, Invalid."""
    key = own_key(actor, key_id)
    name = _checked_name(name)
    if key.name != name:
        record(actor, events.KEY_RENAMED, target_of(key), {"from": key.name, "to": name})
        key.name = name
    return key


@needs(Capability.OWN_KEYS)
def revoke_key(actor: Actor, key_id: UUID) -> ApiKey:
    """End a key: the next verify anywhere refuses it. Twice is as good as once. Raises NotFound."""
    key = own_key(actor, key_id)
    if key.revoked_at is None:
        key.revoked_at = clock.now()
        record(actor, events.KEY_REVOKED, target_of(key), {"name": key.name, "prefix": key.prefix})
    return key


@needs(Capability.USER_FIND)
def keys_of(actor: Actor, user_id: UUID) -> list[ApiKey]:
    """The keys of a user, for the desk and the console: names, prefixes, states; never a digest."""
    query = select(ApiKey).where(ApiKey.user_id == user_id)
    return list(db.session.scalars(query.order_by(ApiKey.revoked_at.is_not(None), ApiKey.created_at.desc()).limit(200)))


@needs(Capability.USER_DELETE)
def revoke_all_keys(actor: Actor, user_id: UUID) -> int:
    """Revoke every key of a user for good, as deletion does. Answers how many."""
    keys = [key for key in keys_of(actor, user_id) if key.revoked_at is None]
    for key in keys:
        key.revoked_at = clock.now()
        record(actor, events.KEY_REVOKED, target_of(key), {"name": key.name, "prefix": key.prefix})
    return len(keys)
