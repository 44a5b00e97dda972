"""Where a person is signed in: browsers by their sessions, programs by their families of tokens, in one list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portal.accounts.models import Account
from portal.core.access import Capability, needs, recently
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.pages import PAGE_SIZE, Page, merged_page
from portal.signin.models import SignInSession
from portal.signin.revoking import end_own_family
from portal.signin.sessions import end_own_session, living_sessions_of
from portal.tokens.families import living_families_of
from portal.tokens.models import TokenFamily

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from portal.core.actor import Actor


@dataclass(frozen=True, slots=True)
class SignIn:
    """One place where a person is signed in. `device` is what the browser or program calls itself."""

    id: UUID
    device: str
    address: str | None
    created_at: datetime
    last_seen_at: datetime


@needs(Capability.OWN_SESSIONS)
def own_sign_ins(actor: Actor, cursor: str | None = None, *, size: int = PAGE_SIZE) -> Page[SignIn]:
    """One page of the actor's living sessions and token families, begun last first. Raises Malformed."""
    account = db.session.get(Account, actor.id)
    if account is None:
        raise NotFound
    sources: list[tuple[Any, list[Any]]] = [
        (living_sessions_of(account), [SignInSession.created_at.desc(), SignInSession.id.desc()]),
        (living_families_of(account), [TokenFamily.created_at.desc(), TokenFamily.id.desc()]),
    ]
    page = merged_page(sources, cursor, purpose="sign-ins", size=size)
    return Page([_seen(one) for one in page.items], page.next_cursor, page.previous_cursor)


def _seen(one: SignInSession | TokenFamily) -> SignIn:
    last = one.last_seen_at if isinstance(one, SignInSession) else one.last_used_at
    return SignIn(one.id, one.device, one.address, one.created_at, last)


@needs(Capability.OWN_SESSIONS)
@recently()
def end_own_sign_in(actor: Actor, one: UUID) -> None:
    """End one of them, be it a browser's or a program's. Raises NotFound."""
    try:
        end_own_session(actor, one)
    except NotFound:
        end_own_family(actor, one)
