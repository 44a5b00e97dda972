"""What the pages of a user show to whoever has them open: without secrets, without words, addresses masked.

All of it wants the actor that `viewing.in_viewing` gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.accounts.models import User
from portal.audit import events
from portal.audit.record import Target, record
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.masks import mask_address
from portal.core.pages import Page, page_of
from portal.keys.service import keys_of
from portal.messages.models import Conversation
from portal.prompts.models import Prompt
from portal.signin.factors import Factors, factors_of
from portal.signin.sessions import living_sessions
from portal.support.record import email_for
from portal.support.reveals import ADDRESS, unmasked
from portal.support.viewing import check_viewing

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.keys.models import ApiKey


@dataclass(frozen=True, slots=True)
class KeyShown:
    """A key as its owner's list shows it. Of its networks it is told how many there are."""

    id: UUID
    name: str
    prefix: str
    state: str
    ends_soon: bool
    scopes: list[str]
    networks: list[str]
    daily_limit: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_why: str
    last_used_at: datetime | None
    last_used_by: str | None
    last_used_from: str


@dataclass(frozen=True, slots=True)
class TalkShown:
    """A conversation without its title, which is made of its first words."""

    id: UUID
    source_id: str
    started_at: datetime
    last_at: datetime
    exchanges: int


@dataclass(frozen=True, slots=True)
class PromptShown:
    """A saved prompt; `content` and `response` are None for whoever sees titles only."""

    id: UUID
    title: str
    answered: bool
    updated_at: datetime
    content: str | None
    response: str | None


@dataclass(frozen=True, slots=True)
class SessionShown:
    """A browser in which the user is signed in."""

    device: str
    address: str
    method: str
    created_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class ProfileShown:
    """What stands on the user's pages of profile and security. No secret, and of factors only that they are there."""

    username: str
    display_name: str
    email: str
    email_verified: bool
    state: str
    picture_id: UUID | None
    language: str
    time_zone: str
    created_at: datetime
    has_password: bool
    factors: Factors


@needs(Capability.USER_VIEW_AS)
def sees_addresses(actor: Actor, user_id: UUID) -> bool:
    """Whether the actor sees network addresses of this user whole: by right, or because they unmasked them."""
    return actor.may(Capability.USER_CONTACT) or (user_id, ADDRESS) in unmasked(actor)


@needs(Capability.USER_VIEW_AS)
def keys_shown(actor: Actor, user_id: UUID) -> list[KeyShown]:
    """The user's keys, living ones first, 200 at most."""
    check_viewing(actor, user_id)
    whole = sees_addresses(actor, user_id)
    return [_key(key, whole=whole) for key in keys_of(actor, user_id)]


def _key(key: ApiKey, *, whole: bool) -> KeyShown:
    address = key.last_used_from or ""
    return KeyShown(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        state=key.state,
        ends_soon=key.ends_soon,
        scopes=list(key.scopes),
        networks=[one if whole else mask_address(one) for one in key.networks],
        daily_limit=key.daily_limit,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        revoked_why=key.revoked_why,
        last_used_at=key.last_used_at,
        last_used_by=key.last_used_by,
        last_used_from=address if whole else mask_address(address),
    )


@needs(Capability.USER_VIEW_AS)
def talks_shown(actor: Actor, user_id: UUID, cursor: str | None = None) -> Page[TalkShown]:
    """One page of the user's conversations, latest first, without a word of them. Raises Malformed."""
    check_viewing(actor, user_id)
    query = select(Conversation).where(Conversation.user_id == user_id)
    page = page_of(query, [Conversation.last_at.desc(), Conversation.id.desc()], cursor, purpose="talks-shown")
    shown = [TalkShown(one.id, one.source_id, one.started_at, one.last_at, one.exchanges) for one in page.items]
    return Page(shown, page.next_cursor, page.previous_cursor)


@needs(Capability.USER_VIEW_AS)
def prompts_shown(actor: Actor, user_id: UUID, cursor: str | None = None) -> Page[PromptShown]:
    """One page of the user's prompts: titles; whoever may read what was said sees the words too, which is written down.

    Raises Malformed.
    """
    check_viewing(actor, user_id)
    reads = actor.may(Capability.LOG_CONTENT)
    query = select(Prompt).where(Prompt.user_id == user_id)
    page = page_of(query, [Prompt.updated_at.desc(), Prompt.id.desc()], cursor, purpose="prompts-shown")
    if reads and page.items:
        record(actor, events.CONTENT_READ, _target(user_id), {"what": "prompts", "count": len(page.items)})
    return Page([_prompt(one, reads=reads) for one in page.items], page.next_cursor, page.previous_cursor)


def _prompt(prompt: Prompt, *, reads: bool) -> PromptShown:
    words = (prompt.content, prompt.response) if reads else (None, None)
    return PromptShown(prompt.id, prompt.title, prompt.response is not None, prompt.updated_at, *words)


def _target(user_id: UUID) -> Target:
    return Target("user", user_id, _user(user_id).username)


@needs(Capability.USER_VIEW_AS)
def sessions_shown(actor: Actor, user_id: UUID) -> list[SessionShown]:
    """The browsers in which the user is signed in, latest use first."""
    check_viewing(actor, user_id)
    whole = sees_addresses(actor, user_id)
    return [
        SessionShown(
            one.device,
            one.address or "" if whole else mask_address(one.address or ""),
            one.method,
            one.created_at,
            one.last_seen_at,
        )
        for one in living_sessions(_user(user_id))
    ]


@needs(Capability.USER_VIEW_AS)
def profile_shown(actor: Actor, user_id: UUID) -> ProfileShown:
    """Names, settings, and which factors there are."""
    check_viewing(actor, user_id)
    user = _user(user_id)
    return ProfileShown(
        username=user.username,
        display_name=user.display_name,
        email=email_for(actor, user),
        email_verified=user.email_verified_at is not None,
        state=user.state,
        picture_id=user.picture_id,
        language=user.language,
        time_zone=user.time_zone,
        created_at=user.created_at,
        has_password=user.password_hash is not None,
        factors=factors_of(user.id),
    )


def _user(user_id: UUID) -> User:
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound
    return user
