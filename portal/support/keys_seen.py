"""The keys of a user, as whoever reads them may see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.accounts.lifecycle import target_of
from portal.accounts.models import State, User
from portal.audit import events
from portal.audit.record import record
from portal.core.access import Capability, needs
from portal.core.actor import PEOPLE, ActorKind
from portal.core.database import db
from portal.core.errors import Forbidden, NotFound
from portal.core.pages import PAGE_SIZE, Page
from portal.keys.service import page_of_keys
from portal.support.reveals import ADDRESS, unmasked

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.keys.models import ApiKey


@dataclass(frozen=True, slots=True)
class KeysSeen:
    """A page of keys. `whole` says whether the networks that they are good from are seen as well."""

    page: Page[ApiKey]
    whole: bool


@needs(Capability.KEY_READ, Capability.USER_FIND)
def see_keys(
    actor: Actor, user_id: UUID, *, ended: bool | None = None, cursor: str | None = None, size: int = PAGE_SIZE
) -> KeysSeen:
    """One page of a user's keys, newest first. Of people who look it leaves an entry, as the record does.

    A service client wants the scope for keys: that for users is another. Raises NotFound, Forbidden, Malformed.
    """
    if actor.kind is ActorKind.CLIENT and not actor.may(Capability.KEY_READ):
        raise Forbidden
    user = db.session.get(User, user_id)
    if user is None or user.state == State.DELETED:
        raise NotFound
    if actor.kind in PEOPLE:
        record(actor, events.RECORD_VIEWED, target_of(user))
    whole = not actor.capabilities.isdisjoint({Capability.KEY_READ, Capability.USER_CONTACT})
    return KeysSeen(
        page_of_keys(user_id, ended=ended, cursor=cursor, size=size),
        whole or (user_id, ADDRESS) in unmasked(actor),
    )
