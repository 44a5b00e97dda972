"""Keys of others: found, made, changed, rotated and revoked by whoever may. The owner is told each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.accounts.models import State, User
from portal.audit import events
from portal.audit.record import record
from portal.core.access import Capability, check_case, needs, outranks
from portal.core.actor import ActorKind
from portal.core.database import db
from portal.core.errors import Conflict, Forbidden, NotFound
from portal.core.ids import parse_id
from portal.core.text import gettext
from portal.keys.letters import mail_change
from portal.keys.models import ApiKey
from portal.keys.rotation import replace_key
from portal.keys.service import NewKey, add_key, end_key, give_terms, target_of

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.keys.terms import KeyTerms


def _managed(actor: Actor, user_id: UUID) -> User:
    """The user whose keys the actor wants to change. A client comes with a scope and has no rank."""
    check_case(actor, user_id)
    user = db.session.get(User, user_id)
    if user is None or user.state == State.DELETED:
        raise NotFound
    if not actor.may(Capability.KEY_WRITE) and (actor.kind is ActorKind.CLIENT or not outranks(actor, user.rank)):
        raise Forbidden
    return user


def _key_of(user: User, key_id: UUID) -> ApiKey:
    key = db.session.get(ApiKey, key_id)
    if key is None or key.user_id != user.id:
        raise NotFound
    return key


@needs(Capability.USER_READ, Capability.KEY_READ)
def key_named(actor: Actor, text: str) -> ApiKey:
    """The key of this id, or that begins so as lists show it. Raises NotFound, and Conflict where two begin alike."""
    key_id = parse_id(text)
    query = select(ApiKey).where(ApiKey.id == key_id if key_id else ApiKey.prefix == text)
    keys = db.session.scalars(query.limit(2)).all()
    if not keys:
        raise NotFound(gettext("There is no key %(text)s.", text=text[:60]))
    if len(keys) > 1:
        raise Conflict(gettext("Several keys begin with %(text)s. Name one by its id.", text=text))
    return keys[0]


@needs(Capability.KEY_WRITE, Capability.USER_WRITE, Capability.KEY_STOP)
def managed_key(actor: Actor, user_id: UUID, key_id: UUID) -> ApiKey:
    """A key of a user, for whoever changes or ends it. Raises NotFound, Forbidden, CaseNeeded."""
    return _key_of(_managed(actor, user_id), key_id)


@needs(Capability.KEY_WRITE, Capability.USER_WRITE)
def create_key_for(actor: Actor, user_id: UUID, terms: KeyTerms) -> NewKey:
    """A new key for a user, by the same rules as the user's own. Raises NotFound, Forbidden, Invalid, Conflict."""
    return add_key(_managed(actor, user_id), terms, actor)


@needs(Capability.KEY_WRITE, Capability.USER_WRITE)
def change_key_of(actor: Actor, user_id: UUID, key_id: UUID, terms: KeyTerms, *, version: int | None = None) -> ApiKey:
    """Give a key of a user other terms. Raises NotFound, Forbidden, Invalid, Stale, Conflict."""
    return give_terms(_key_of(_managed(actor, user_id), key_id), terms, actor, version)


@needs(Capability.KEY_WRITE, Capability.USER_WRITE)
def rotate_key_of(actor: Actor, user_id: UUID, key_id: UUID, *, overlap_s: int) -> NewKey:
    """Replace a key of a user. Raises NotFound, Forbidden, Invalid, Conflict."""
    return replace_key(_key_of(_managed(actor, user_id), key_id), overlap_s, actor)


@needs(Capability.KEY_WRITE, Capability.KEY_STOP, case=True)
def revoke_key_of(actor: Actor, user_id: UUID, key_id: UUID) -> ApiKey:
    """End a key of a user: the next verify anywhere refuses it. Twice is as good as once.

    Raises NotFound, Forbidden, CaseNeeded.
    """
    key = _key_of(_managed(actor, user_id), key_id)
    if end_key(key, "service"):
        record(actor, events.KEY_REVOKED, target_of(key), {"name": key.name, "prefix": key.prefix})
        mail_change(key, "revoked", actor)
    return key
