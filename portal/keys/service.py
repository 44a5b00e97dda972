"""A user's own keys: make, change, list, revoke. Rotating is in rotation.py, keys of others in managing.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm.exc import StaleDataError

from portal.accounts.models import User
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock, crypto
from portal.core.access import Capability, needs, recently
from portal.core.database import db
from portal.core.errors import Conflict, NotFound, Stale
from portal.core.ids import new_id
from portal.core.pages import PAGE_SIZE, Page, page_of
from portal.core.text import gettext
from portal.keys.letters import mail_change
from portal.keys.models import ApiKey
from portal.keys.secrets import SHOWN, make_secret
from portal.keys.terms import KeyTerms, checked_terms, terms_of
from portal.usage.budget import today_of
from portal.usage.models import CreditBalance, UsageDetail
from portal.usage.plans import plan_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portal.core.actor import Actor

MOST_SHOWN = 200
TOLD_OF_LEAKS = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `secret` is shown this once and kept nowhere."""

    key: ApiKey
    secret: str


def target_of(key: ApiKey) -> Target:
    """A key as the target of an audit entry."""
    return Target("key", key.id, key.prefix)


def living() -> ColumnElement[bool]:
    """Whether a verify may still take the key, as a condition of a query."""
    return ApiKey.revoked_at.is_(None) & (ApiKey.expires_at.is_(None) | (ApiKey.expires_at > clock.now()))


def build_key(user_id: UUID, name: str, terms: KeyTerms | None = None) -> NewKey:
    """A key and its secret, not yet stored: also used by the demo data. `terms` must be checked ones."""
    secret, terms = make_secret(), terms or KeyTerms(name)
    key = ApiKey(
        id=new_id(),
        user_id=user_id,
        name=name,
        prefix=secret[:SHOWN],
        digest=crypto.digest(secret),
        scopes=list(terms.scopes),
        networks=list(terms.networks),
        expires_at=terms.expires_at,
        daily_limit=terms.daily_limit,
        created_at=clock.now(),
    )
    return NewKey(key, secret)


def hold_keys(user_id: UUID) -> None:
    """Let nobody else make or rotate keys of this user till the commit: many at once must not pass the plan's number.

    Locks the owner's balance row. What is read after it is what is there.
    """
    db.session.execute(
        update(CreditBalance)
        .where(CreditBalance.user_id == user_id)
        .values(own_credits=CreditBalance.own_credits)
        .execution_options(synchronize_session=False)
    )


def count_living(user_id: UUID, *, replaced: bool) -> int:
    """How many living keys a user holds: those in their last days after a rotation, or the others."""
    is_replaced = ApiKey.replaced_by.is_not(None)
    query = select(func.count()).select_from(ApiKey).where(ApiKey.user_id == user_id, living())
    return db.session.scalar(query.where(is_replaced if replaced else ~is_replaced)) or 0


def add_key(user: User, terms: KeyTerms, by: Actor) -> NewKey:
    """Check the terms, make the key as far as the plan allows, tell the owner. Raises Invalid, Conflict."""
    terms = checked_terms(terms)
    hold_keys(user.id)
    most = plan_of(user).key_count
    if count_living(user.id, replaced=False) >= most:
        raise Conflict(gettext("Your plan allows %(most)s keys. Revoke one first.", most=most))
    made = build_key(user.id, terms.name, terms)
    db.session.add(made.key)
    record(by, events.KEY_CREATED, target_of(made.key), {"name": made.key.name, "prefix": made.key.prefix})
    mail_change(made.key, "made", by)
    return made


def end_key(key: ApiKey, why: str) -> bool:
    """Revoke a key for good: the next verify anywhere refuses it. Answers False where it was revoked already.

    One statement of its own, so that whatever else changes the key at this moment cannot make it fail.
    """
    ended = db.session.scalar(
        update(ApiKey)
        .where(ApiKey.id == key.id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=clock.now(), revoked_why=why, version=ApiKey.version + 1)
        .returning(ApiKey.id)
        .execution_options(synchronize_session=False)
    )
    db.session.refresh(key)
    return ended is not None


def give_terms(key: ApiKey, terms: KeyTerms, by: Actor, version: int | None) -> ApiKey:
    """Check the terms and give them to the key, tell the owner. Raises Invalid, Stale, Conflict."""
    if version is not None and key.version != version:
        raise Stale(gettext("This key was changed in the meantime. Nothing was saved."))
    if key.state == "replaced":
        raise Conflict(gettext("This key was replaced by another. Change that one."))
    if key.state != "active":
        raise Conflict(gettext("This key has ended and stays as it is. Make a new one."))
    before = terms_of(key)
    terms = checked_terms(terms, before)
    changed = differences(before, terms)
    if not changed:
        return key
    key.name, key.scopes, key.networks = terms.name, list(terms.scopes), list(terms.networks)
    key.daily_limit = terms.daily_limit
    if terms.expires_at != before.expires_at:
        # The owner was told of another end.
        key.expires_at, key.expiry_told_at = terms.expires_at, None
    record(by, events.KEY_CHANGED, target_of(key), {"changed": list(changed.values())})
    if changed.keys() != {"name"}:
        mail_change(key, "changed", by)
    try:
        db.session.flush()
    except StaleDataError:  # somebody was between our looking and our writing
        raise Stale(gettext("This key was changed in the meantime. Nothing was saved.")) from None
    return key


@needs(Capability.OWN_KEYS)
@recently()
def create_key(
    actor: Actor,
    *,
    name: str,
    scopes: Iterable[str] = (),
    expires_at: datetime | None = None,
    networks: Iterable[str] = (),
    daily_limit: int | None = None,
) -> NewKey:
    """A new key of the actor's own, as far as the plan allows. Raises Invalid, Conflict."""
    user = db.session.get(User, actor.id)
    if user is None:
        raise NotFound
    return add_key(user, KeyTerms(name, tuple(scopes), expires_at, tuple(networks), daily_limit), actor)


@needs(Capability.OWN_KEYS)
def own_keys(actor: Actor) -> list[ApiKey]:
    """The actor's keys, living ones first, newest first, 200 at most."""
    query = select(ApiKey).where(ApiKey.user_id == actor.id)
    return list(db.session.scalars(query.order_by(~living(), ApiKey.created_at.desc()).limit(MOST_SHOWN)))


@needs(Capability.OWN_KEYS)
def own_keys_page(
    actor: Actor, *, ended: bool | None = None, cursor: str | None = None, size: int = PAGE_SIZE
) -> Page[ApiKey]:
    """One page of the actor's keys, newest first: all, the ended ones, or the others."""
    return page_of_keys(actor.id, ended=ended, cursor=cursor, size=size)


def page_of_keys(user_id: UUID | None, *, ended: bool | None, cursor: str | None, size: int) -> Page[ApiKey]:
    """One page of a user's keys, newest first. Raises Malformed."""
    query = select(ApiKey).where(ApiKey.user_id == user_id)
    if ended is not None:
        query = query.where(~living() if ended else living())
    return page_of(query, [ApiKey.created_at.desc(), ApiKey.id.desc()], cursor, purpose=f"keys-{user_id}", size=size)


@needs(Capability.OWN_KEYS)
def lately_leaked(actor: Actor) -> list[ApiKey]:
    """The actor's keys that were found in the open and handed in within the last 30 days, the latest first."""
    query = select(ApiKey).where(
        ApiKey.user_id == actor.id, ApiKey.revoked_why == "leaked", ApiKey.revoked_at > clock.now() - TOLD_OF_LEAKS
    )
    return list(db.session.scalars(query.order_by(ApiKey.revoked_at.desc()).limit(5)))


@needs(Capability.OWN_KEYS)
def own_key(actor: Actor, key_id: UUID) -> ApiKey:
    """One of the actor's keys. Raises NotFound, for others' keys too."""
    key = db.session.get(ApiKey, key_id)
    if key is None or key.user_id != actor.id:
        raise NotFound
    return key


@needs(Capability.OWN_KEYS)
def used_today(actor: Actor, key_id: UUID) -> int:
    """Conversations that were started with a key of one's own on the present usage day. Raises NotFound."""
    key = own_key(actor, key_id)
    user = db.session.get(User, key.user_id)
    query = select(func.sum(UsageDetail.used)).where(
        UsageDetail.user_id == key.user_id,
        UsageDetail.key_id == key.id,
        UsageDetail.day == (today_of(user) if user else None),
    )
    return int(db.session.scalar(query) or 0)


@needs(Capability.OWN_KEYS)
@recently()
def change_key(actor: Actor, key_id: UUID, terms: KeyTerms, *, version: int | None = None) -> ApiKey:
    """Give a key of one's own other terms, felt by the next verify. `version` is the one that was shown; None takes
    any.

    Raises NotFound, Invalid, Stale, and Conflict for a key that has ended or was replaced: it stays as it is.
    """
    return give_terms(own_key(actor, key_id), terms, actor, version)


def differences(before: KeyTerms, after: KeyTerms) -> dict[str, str]:
    """What differs, by term: `scopes: chat → chat, embed`."""
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in KeyTerms.__dataclass_fields__}
    return {name: f"{name}: {_plain(old)} → {_plain(new)}" for name, (old, new) in pairs.items() if old != new}


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "any"
    return value.isoformat() if isinstance(value, datetime) else "none" if value is None else str(value)


@needs(Capability.OWN_KEYS)
@recently()
def revoke_key(actor: Actor, key_id: UUID) -> ApiKey:
    """End a key: the next verify anywhere refuses it. Twice is as good as once. Raises NotFound."""
    key = own_key(actor, key_id)
    if end_key(key, "owner"):
        record(actor, events.KEY_REVOKED, target_of(key), {"name": key.name, "prefix": key.prefix})
        mail_change(key, "revoked", actor)
    return key


@needs(Capability.USER_FIND, Capability.KEY_READ)
def keys_of(actor: Actor, user_id: UUID) -> list[ApiKey]:
    """The keys of a user, for the desk and the console: names, prefixes, states; never a digest. 200 at most."""
    query = select(ApiKey).where(ApiKey.user_id == user_id)
    return list(db.session.scalars(query.order_by(~living(), ApiKey.created_at.desc()).limit(MOST_SHOWN)))


@needs(Capability.USER_DELETE)
def revoke_all_keys(actor: Actor, user_id: UUID) -> int:
    """Revoke every key of a user for good, as deletion does. Answers how many."""
    keys = db.session.scalars(select(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))).all()
    ended = [key for key in keys if end_key(key, "deleted")]
    for key in ended:
        record(actor, events.KEY_REVOKED, target_of(key), {"name": key.name, "prefix": key.prefix})
    return len(ended)
