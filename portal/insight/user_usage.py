"""The usage of one user on one page, and one refusal with all that explains it: for owner, desk and console."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.accounts.lifecycle import target_of
from portal.accounts.models import User
from portal.audit import events
from portal.audit.record import record
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.pages import Page
from portal.keys.models import ApiKey
from portal.usage import history
from portal.usage.credits import list_ledger, sees_ledger
from portal.usage.limits import limits_of
from portal.usage.refusal_reading import refusal, refusals_of

if TYPE_CHECKING:
    from datetime import date, datetime
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.usage.history import LostLease, Share
    from portal.usage.limits import Limits
    from portal.usage.models import CreditEntry
    from portal.usage.refusal_reading import RefusalSeen
    from portal.usage.spending import Standing

LATEST = 5


@dataclass(frozen=True, slots=True)
class KeyName:
    """By what people tell a key: its name and first characters."""

    id: UUID
    name: str
    prefix: str


@dataclass(frozen=True, slots=True)
class UserUsage:
    """How a user stands and what was used. `span` is in days; `entries` is None for whoever may not see the ledger."""

    user_id: UUID
    username: str
    display_name: str
    state: str
    standing: Standing
    limits: Limits
    held_until: datetime | None
    days: list[tuple[date, int]]
    months: list[tuple[date, int]]
    span: int
    models: list[Share]
    by_key: list[Share]
    keys: dict[UUID, KeyName]
    leases: list[LostLease]
    refusals: list[RefusalSeen]
    entries: list[CreditEntry] | None


@dataclass(frozen=True, slots=True)
class RefusalList:
    """One page of a user's refusals, and the names of the keys in it."""

    user_id: UUID
    username: str
    display_name: str
    page: Page[RefusalSeen]
    keys: dict[UUID, KeyName]


@dataclass(frozen=True, slots=True)
class RefusalStory:
    """One refusal, whose it is and with which key. The key is None where none was used or it is gone."""

    refusal: RefusalSeen
    username: str
    display_name: str
    key: KeyName | None


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def user_usage(actor: Actor, user_id: UUID, *, span: int = 30) -> UserUsage:
    """All of a user's usage for one page. A look at another's leaves an audit entry. Raises NotFound."""
    user = _looked_at(actor, user_id)
    return UserUsage(
        user_id=user.id,
        username=user.username,
        display_name=user.display_name,
        state=user.state,
        standing=history.standing(actor, user_id),
        limits=limits_of(actor, user_id),
        held_until=history.day_held_until(actor, user_id),
        days=history.last_days(actor, user_id),
        months=history.last_months(actor, user_id),
        span=span,
        models=history.used_by_model(actor, user_id, days=span),
        by_key=history.used_by_key(actor, user_id, days=span),
        keys=_key_names(user_id),
        leases=history.lost_leases(actor, user_id),
        refusals=refusals_of(actor, user_id, size=LATEST).items,
        entries=list_ledger(actor, user_id).items[:10] if sees_ledger(actor, user_id) else None,
    )


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def refusal_list(actor: Actor, user_id: UUID, cursor: str | None = None) -> RefusalList:
    """One page of a user's refusals. Raises NotFound, Malformed."""
    user = _looked_at(actor, user_id)
    page = refusals_of(actor, user_id, cursor)
    return RefusalList(user.id, user.username, user.display_name, page, _key_names(user_id))


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def refusal_story(actor: Actor, user_id: UUID, decision_id: UUID) -> RefusalStory:
    """One refusal of this user. Raises NotFound, also where it is another's."""
    told = refusal(actor, decision_id)
    if told.user_id != user_id:
        raise NotFound
    user = _looked_at(actor, user_id)
    key = _key_names(user_id).get(told.key_id) if told.key_id else None
    return RefusalStory(told, user.username, user.display_name, key)


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def latest_refusals(actor: Actor, user_id: UUID, *, most: int = 10) -> RefusalList:
    """The latest refusals of a user, for a panel on a record that notes the look itself. Raises NotFound."""
    user = history.usage_owner(actor, user_id)
    page = refusals_of(actor, user_id, size=most)
    return RefusalList(user.id, user.username, user.display_name, page, _key_names(user_id))


def _looked_at(actor: Actor, user_id: UUID) -> User:
    """The user; that somebody else looked is written down."""
    user = history.usage_owner(actor, user_id)
    if actor.id != user_id:
        record(actor, events.RECORD_VIEWED, target_of(user))
    return user


def _key_names(user_id: UUID) -> dict[UUID, KeyName]:
    query = select(ApiKey.id, ApiKey.name, ApiKey.prefix).where(ApiKey.user_id == user_id)
    rows = db.session.execute(query.order_by(ApiKey.created_at.desc()).limit(500))
    return {row.id: KeyName(row.id, row.name, row.prefix) for row in rows}
