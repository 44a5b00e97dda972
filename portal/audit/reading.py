"""Reading the audit log, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import literal_column, or_, select

from portal.audit import events
from portal.audit.models import AuditEntry
from portal.core.access import Capability, needs
from portal.core.actor import ActorKind
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.pages import PAGE_SIZE, Page, page_of

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement, Select

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


# How the house works on a case among themselves, and what they write for each other: no page of the user tells it.
INSIDE = {
    event.name
    for event in (
        events.NOTE_ADDED,
        events.NOTE_CHANGED,
        events.NOTE_REMOVED,
        events.CASE_CLAIMED,
        events.CASE_HANDED_UP,
        events.CASE_HANDED_BACK,
    )
}
# Who says why for the person concerned to read. A job gives no reason, and that of a client's change is its own affair.
REASONED = {ActorKind.STAFF.value, ActorKind.ADMIN.value, ActorKind.OPERATOR.value}


def reason_told(entry: AuditEntry) -> str | None:
    """Why somebody else looked at an account or changed it, as its owner is told; None where they are not."""
    told = entry.event in LOOKS or (entry.actor_kind in REASONED and entry.event not in INSIDE)
    return entry.reason if told else None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to look for; all of it together. Empty means everything.

    `about` is an account, or any other id, that an entry is by or about; `known_as` what else the word that was typed
    may be: a request. `since` and `until` are instants, the first within, the second without.
    """

    event: str | None = None
    actor_id: UUID | None = None
    target_id: UUID | None = None
    about: UUID | None = None
    request_id: str | None = None
    case: str | None = None
    address: str | None = None
    result: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def narrows(self) -> bool:
        """Whether it leaves anything out."""
        return self != AuditFilter()


def narrowed(wanted: AuditFilter) -> Select[AuditEntry]:
    """The entries that a filter leaves, in no order. Each filter has an index that ends in the order of the list."""
    query = select(AuditEntry)
    for column, value in (
        (AuditEntry.event, wanted.event),
        (AuditEntry.actor_id, wanted.actor_id),
        (AuditEntry.target_id, wanted.target_id),
        (AuditEntry.request_id, wanted.request_id if not wanted.about else None),
        (AuditEntry.case, wanted.case),
        (AuditEntry.address, wanted.address),
    ):
        if value:
            query = query.where(column == value)
    if wanted.about:
        either: list[ColumnElement[bool]] = [AuditEntry.actor_id == wanted.about, AuditEntry.target_id == wanted.about]
        if wanted.request_id:
            either.append(AuditEntry.request_id == wanted.request_id)
        query = query.where(or_(*either))
    if wanted.result:
        # In the words of the index of the few that were not done, so that it is used.
        refused = AuditEntry.result != literal_column("'done'")
        query = query.where(~refused if wanted.result == "done" else refused)
    if wanted.since:
        query = query.where(AuditEntry.at >= wanted.since)
    if wanted.until:
        query = query.where(AuditEntry.at < wanted.until)
    return query


@needs(Capability.AUDIT_READ)
def list_entries(
    actor: Actor, wanted: AuditFilter, cursor: str | None = None, *, size: int = PAGE_SIZE
) -> Page[AuditEntry]:
    """One page of entries, newest first. Raises Malformed for a bad cursor."""
    return page_of(narrowed(wanted), [AuditEntry.at.desc(), AuditEntry.id.desc()], cursor, purpose="audit", size=size)


@needs(Capability.AUDIT_READ)
def entry_of(actor: Actor, entry_id: UUID) -> AuditEntry:
    """One entry. Raises NotFound, also for one that lies in a file by now."""
    entry = db.session.get(AuditEntry, entry_id)
    if entry is None:
        raise NotFound
    return entry
