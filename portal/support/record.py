"""A user's record as this actor may see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.accounts.directory import user_record
from portal.accounts.lifecycle import target_of
from portal.accounts.models import User
from portal.audit import events
from portal.audit.record import record
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.masks import mask_address, mask_email
from portal.keys.service import keys_of
from portal.messages.keeping import kept_of
from portal.signin.models import SignInSession
from portal.signin.sessions import living_sessions
from portal.support.reveals import ADDRESS, EMAIL, FIELDS, unmasked
from portal.usage.history import last_days, standing
from portal.usage.limits import Limits, limits_of
from portal.usage.models import Plan
from portal.usage.plans import plan_of

if TYPE_CHECKING:
    from datetime import date, datetime
    from uuid import UUID

    from portal.accounts.models import Account
    from portal.core.actor import Actor
    from portal.keys.models import ApiKey
    from portal.messages.keeping import Keeping
    from portal.usage.spending import Standing


@dataclass(frozen=True, slots=True)
class KeySeen:
    """An API key as the desk sees it: never a digest, and where it was used from masked."""

    id: UUID
    name: str
    prefix: str
    state: str
    ends_soon: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_why: str
    last_used_at: datetime | None
    last_used_by: str | None
    last_used_from: str


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """A session as the desk sees it."""

    device: str
    address: str
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class UserSeen:
    """Who a user is, in one answer; masked fields keep their name and carry a masked text.

    `plan` is the name of the plan that holds now; `daily_limit_override` the user's own limit, None where the plan's
    holds.
    """

    id: UUID
    kind: str
    username: str
    email: str
    email_verified: bool
    display_name: str
    state: str
    plan: str
    time_zone: str
    language: str
    created_at: datetime
    last_seen_at: datetime
    daily_limit_override: int | None
    version: int


@dataclass(frozen=True, slots=True)
class MaskedRecord:
    """What the desk shows of a user; masked fields keep their name and carry a masked text."""

    id: UUID
    username: str
    display_name: str
    email: str
    email_verified: bool
    state: str
    closes_at: datetime | None
    picture_id: UUID | None
    time_zone: str
    language: str
    created_at: datetime
    last_seen_at: datetime
    plan: Plan
    standing: Standing
    limits: Limits
    days: list[tuple[date, int]]
    keys: list[KeySeen]
    sessions: list[SessionSeen]
    keeping: Keeping
    # Until when the actor sees a field unmasked that is masked at their level.
    revealed: dict[str, datetime]


@needs(Capability.USER_FIND, Capability.USER_WRITE)
def email_for(actor: Actor, account: Account) -> str:
    """The e-mail address of a user, masked unless the actor may see it whole or has revealed it."""
    email = account.email or ""
    if actor.may(Capability.USER_CONTACT):
        return email
    revealed = actor.may(Capability.USER_REVEAL) and (account.id, EMAIL) in unmasked(actor)
    return email if revealed else mask_email(email)


@needs(Capability.USER_FIND, Capability.USER_WRITE)
def seen_user(actor: Actor, user: Account) -> UserSeen:
    """A user as the actor may see them, with the version that the record has after what was changed in it.

    Raises NotFound for staff and admins.
    """
    if not isinstance(user, User):
        raise NotFound
    db.session.flush()
    return UserSeen(
        id=user.id,
        kind=user.kind,
        username=user.username,
        email=email_for(actor, user),
        email_verified=user.email_verified_at is not None,
        display_name=user.display_name,
        state=user.state,
        plan=plan_of(user).name,
        time_zone=user.time_zone,
        language=user.language,
        created_at=user.created_at,
        last_seen_at=user.last_seen_at,
        daily_limit_override=user.daily_limit_override,
        version=user.version,
    )


@needs(Capability.USER_FIND)
def open_user(actor: Actor, user_id: UUID) -> UserSeen:
    """One user, masked. Leaves an audit entry: the user may ask who looked. Raises NotFound."""
    user = user_record(actor, user_id)
    record(actor, events.RECORD_VIEWED, target_of(user))
    return seen_user(actor, user)


@needs(Capability.USER_FIND)
def open_record(actor: Actor, user_id: UUID) -> MaskedRecord:
    """A user's record, masked. Leaves an audit entry: the user may ask who looked. Raises NotFound."""
    user = user_record(actor, user_id)
    record(actor, events.RECORD_VIEWED, target_of(user))
    seen = unmasked(actor)
    revealed = {field: seen[user_id, field] for field in FIELDS if (user_id, field) in seen}
    whole = actor.may(Capability.USER_CONTACT) or ADDRESS in revealed
    return MaskedRecord(
        id=user.id,
        username=user.username,
        display_name=user.display_name,
        email=email_for(actor, user),
        email_verified=user.email_verified_at is not None,
        state=user.state,
        closes_at=user.closes_at,
        picture_id=user.picture_id,
        time_zone=user.time_zone,
        language=user.language,
        created_at=user.created_at,
        last_seen_at=user.last_seen_at,
        plan=plan_of(user),
        standing=standing(actor, user.id),
        limits=limits_of(actor, user.id),
        days=last_days(actor, user.id),
        keys=[_key(key, whole=whole) for key in keys_of(actor, user.id)],
        sessions=[_seen(session, whole=whole) for session in living_sessions(user)],
        keeping=kept_of([user.id])[user.id],
        revealed=revealed,
    )


def _key(key: ApiKey, *, whole: bool) -> KeySeen:
    address = key.last_used_from or ""
    return KeySeen(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        state=key.state,
        ends_soon=key.ends_soon,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        revoked_why=key.revoked_why,
        last_used_at=key.last_used_at,
        last_used_by=key.last_used_by,
        last_used_from=address if whole else mask_address(address),
    )


def _seen(session: SignInSession, *, whole: bool) -> SessionSeen:
    address = session.address or ""
    return SessionSeen(session.device, address if whole else mask_address(address), session.last_seen_at)
