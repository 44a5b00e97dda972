"""What a staff member did: their own entries of the audit log about users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.accounts.models import Account, Kind, State
from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.reading import LOOKS
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.pages import Page, page_of
from portal.core.text import lazy_gettext as words
from portal.support.timeline import told_facts

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.core.text import Shown

SORTS = {"": words("Everything"), "act": words("Changes"), "look": words("Looks")}


@dataclass(frozen=True, slots=True)
class OwnDeed:
    """One entry. `user_id` is None where the user is gone; `entry` is the row, for what can be undone."""

    entry: AuditEntry
    at: datetime
    sentence: Shown
    user_id: UUID | None
    username: str
    details: str
    refused: bool


@needs(Capability.CASE_WORK)
def own_deeds(actor: Actor, cursor: str | None = None, *, sort: str = "") -> Page[OwnDeed]:
    """A page of what the actor did about users, newest first; `sort` is one of SORTS. Raises Malformed."""
    query = select(AuditEntry).where(
        AuditEntry.actor_id == actor.id, AuditEntry.target_id.is_not(None), AuditEntry.target_id != actor.id
    )
    if sort in {"act", "look"}:
        looked = AuditEntry.event.in_(sorted(LOOKS))
        query = query.where(looked if sort == "look" else ~looked)
    order = [AuditEntry.at.desc(), AuditEntry.id.desc()]
    page = page_of(query, order, cursor, purpose=f"own-deeds-{sort}")
    names = _names({_about(entry) for entry in page.items})
    return Page([_deed(entry, names) for entry in page.items], page.next_cursor, page.previous_cursor)


def _about(entry: AuditEntry) -> UUID | None:
    """The user whom the entry is about: of a key, its owner."""
    return entry.on_behalf_of or entry.target_id


def _names(ids: set[UUID | None]) -> dict[UUID, str]:
    there = (Account.id.in_(ids)) & (Account.kind == Kind.USER.value) & (Account.state != State.DELETED.value)
    return {one.id: one.username for one in db.session.scalars(select(Account).where(there))}


def _deed(entry: AuditEntry, names: dict[UUID, str]) -> OwnDeed:
    about = _about(entry)
    event = events.EVENTS.get(entry.event)
    there = about if about in names else None
    return OwnDeed(
        entry=entry,
        at=entry.at,
        sentence=event.sentence if event else entry.event,
        user_id=there,
        username=names[there] if there else (entry.target_name or ""),
        details=told_facts(entry.facts),
        refused=entry.result != "done",
    )
