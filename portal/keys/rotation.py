"""Rotating a key: a new one with the same terms, while the old one lives on for a while so that its users can move."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.accounts.models import User
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs, recently
from portal.core.database import db
from portal.core.errors import Conflict, Invalid, NotFound
from portal.core.text import gettext
from portal.keys.letters import mail_change
from portal.keys.models import ApiKey, KeyUse
from portal.keys.service import NewKey, build_key, count_living, end_key, hold_keys, living, own_key, target_of
from portal.keys.terms import terms_of
from portal.usage.plans import plan_of

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

MOST_OVERLAP_S = 30 * 86400
MOST_SHOWN = 200


def replace_key(key: ApiKey, overlap_s: int, by: Actor) -> NewKey:
    """A new key with the terms of this one, which ends after the overlap, at once when that is 0, and never later
    than it would have. Raises Invalid, Conflict."""
    if not 0 <= overlap_s <= MOST_OVERLAP_S:
        raise Invalid({"overlap_s": gettext("A whole number of seconds, from 0 to 30 days.")})
    owner = db.session.get(User, key.user_id)
    if owner is None:
        raise NotFound
    hold_keys(owner.id)
    db.session.refresh(key)
    if key.state == "replaced":
        raise Conflict(gettext("This key was replaced already."))
    if key.state != "active":
        raise Conflict(gettext("This key has ended. Make a new one."))
    most = plan_of(owner).key_count
    if overlap_s and count_living(owner.id, replaced=True) >= most:
        # Else rotating again and again would make keys without number.
        raise Conflict(
            gettext("%(most)s replaced keys are still good. Revoke one, or replace this one at once.", most=most)
        )
    made = build_key(owner.id, key.name, terms_of(key))
    db.session.add(made.key)
    now = clock.now()
    if overlap_s == 0:
        end_key(key, "replaced")
    else:
        ends = now + timedelta(seconds=overlap_s)
        key.expires_at = ends if key.expires_at is None else min(ends, key.expires_at)
    key.replaced_by = made.key.id
    facts = {
        "name": key.name,
        "prefix": key.prefix,
        "by_prefix": made.key.prefix,
        "ends": (key.revoked_at or key.expires_at or now).isoformat(),
    }
    record(by, events.KEY_ROTATED, target_of(key), facts)
    record(by, events.KEY_CREATED, target_of(made.key), {"name": made.key.name, "prefix": made.key.prefix})
    mail_change(made.key, "rotated", by)
    return made


@needs(Capability.OWN_KEYS)
@recently()
def rotate_key(actor: Actor, key_id: UUID, *, overlap_s: int) -> NewKey:
    """Replace a key of one's own; the old one goes on for `overlap_s` seconds, 30 days at most.

    Raises NotFound, Invalid, Conflict.
    """
    return replace_key(own_key(actor, key_id), overlap_s, actor)


@needs(Capability.OWN_KEYS, Capability.USER_CONTACT)
def uses_of(actor: Actor, key_id: UUID) -> list[KeyUse]:
    """Who called with a key since it was replaced: one line per client and address, the latest first. Raises NotFound
    for another's key, unless the actor may see addresses."""
    key = db.session.get(ApiKey, key_id)
    if key is None or (key.user_id != actor.id and not actor.may(Capability.USER_CONTACT)):
        raise NotFound
    query = select(KeyUse).where(KeyUse.key_id == key.id).order_by(KeyUse.last_at.desc()).limit(MOST_SHOWN)
    return list(db.session.scalars(query))


@needs(Capability.OWN_KEYS)
def predecessor(actor: Actor, key_id: UUID) -> ApiKey | None:
    """The key of one's own that this one replaces, as long as that is good."""
    key = own_key(actor, key_id)
    query = select(ApiKey).where(ApiKey.user_id == key.user_id, ApiKey.replaced_by == key.id, living())
    return db.session.scalars(query).first()
