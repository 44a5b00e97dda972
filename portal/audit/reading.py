"""Reading the audit log, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.audit import events
from portal.audit.models import AuditEntry
from portal.core.access import Capability, needs
from portal.core.actor import ActorKind
from portal.core.database import db
from portal.core.pages import Page, page_of

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor


# To see what is there. All else that is done to somebody changes something.
LOOKS = {
    event.name
    for event in (
        events.RECORD_VIEWED,
        events.FIELD_REVEALED,
        events.VIEW_OPENED,
        events.VIEW_CLOSED,
        events.RECORD_EXPORTED,
        events.CONTENT_OPENED,
        events.CONTENT_READ,
        events.CONTENT_SEARCHED,
        events.LOGS_EXPORTED,
    )
}


# Who says why for the person concerned to read. A job gives no reason, and that of a client's change is its own affair.
REASONED = {ActorKind.STAFF.value, ActorKind.ADMIN.value, ActorKind.OPERATOR.value}


def reason_told(entry: AuditEntry) -> str | None:
    """Why somebody else looked at an account or changed it, as its owner is told; None where they are not."""
    return entry.reason if entry.event in LOOKS or entry.actor_kind in REASONED else None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to look for. Empty means everything."""

    event: str | None = None
    actor_id: UUID | None = None
    target_id: UUID | None = None
    request_id: str | None = None


@needs(Capability.AUDIT_READ)
def list_entries(actor: Actor, wanted: AuditFilter, cursor: str | None = None) -> Page[AuditEntry]:
    """One page of entries, newest first."""
    query = select(AuditEntry)
    if wanted.event:
        query = query.where(AuditEntry.event == wanted.event)
    if wanted.actor_id:
        query = query.where(AuditEntry.actor_id == wanted.actor_id)
    if wanted.target_id:
        query = query.where(AuditEntry.target_id == wanted.target_id)
    if wanted.request_id:
        query = query.where(AuditEntry.request_id == wanted.request_id)
    return page_of(query, [AuditEntry.at.desc(), AuditEntry.id.desc()], cursor, purpose="audit")


@needs(Capability.AUDIT_READ, Capability.USER_READ)
def entries_about(actor: Actor, target_id: UUID, *, most: int = 10) -> list[AuditEntry]:
    """The latest entries about one target."""
    query = (
        select(AuditEntry)
        .where(AuditEntry.target_id == target_id)
        .order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
        .limit(most)
    )
    return list(db.session.scalars(query))
