"""What happened to a user, newest first: notes, what was done to the account and its keys, what they did, refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from portal.accounts.directory import user_record
from portal.accounts.lifecycle import target_of
from portal.accounts.models import Account
from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.reading import LOOKS
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.masks import mask_address
from portal.core.pages import Page, merged_page
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.keys.models import ApiKey
from portal.support.models import Note
from portal.support.reveals import ADDRESS, unmasked
from portal.usage.models import Refusal
from portal.usage.refusal_reading import KEPT, RULES
from portal.usage.refusal_reading import OTHER as OTHER_RULE

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement, Select

    from portal.core.actor import Actor
    from portal.core.text import Shown

LATEST = 8
SORTS = {
    "": words("Everything but looks"),
    "note": words("Notes"),
    "change": words("Changes"),
    "sign_in": words("Sign-ins"),
    "refusal": words("Refusals"),
    "case": words("Cases"),
    "look": words("Looks at the record"),
}
# Facts that tell two entries apart, by the level of no one in particular: no address, no e-mail is among them.
TOLD = (
    *("name", "prefix", "method", "provider", "why", "from", "to", "amount", "balance", "extra", "until", "starts_at"),
    *("plan", "format", "count", "changed", "level", "subject", "channel", "field", "day", "used", "event", "limit"),
)
# What the user did, or a stranger at the user's door: their address is the user's matter, that of a colleague is not.
_TRIES = {events.SIGN_IN_FAILED.name, events.REAUTH_FAILED.name, events.ACCOUNT_LOCKED.name}


def sort_of(event: str) -> str:
    """To which sort of the timeline an event belongs."""
    if event in LOOKS:
        return "look"
    family = event.partition(".")[0]
    return {"sign_in": "sign_in", "note": "note", "case": "case", "access": "refusal"}.get(family, "change")


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened. `said` is the words of a note; `refusal_id` leads to why a call was refused; `address`
    is masked as the reader may see it, or empty."""

    at: datetime
    sort: str
    sentence: Shown
    who: str
    details: str
    reason: str | None
    case: str | None
    address: str
    refused: bool
    said: str = ""
    refusal_id: UUID | None = None


@needs(Capability.USER_FIND)
def timeline_of(
    actor: Actor, user_id: UUID, cursor: str | None = None, *, sort: str = "", size: int = 50
) -> Page[Moment]:
    """One page of what happened to a user; `sort` is one of SORTS. The first page leaves an entry that somebody looked.

    Raises NotFound, Malformed."""
    user = user_record(actor, user_id)
    wanted = sort if sort in SORTS else ""
    if not cursor:
        record(actor, events.RECORD_VIEWED, target_of(user))
    page = merged_page(_sources(actor, user_id, wanted), cursor, purpose=f"timeline-{wanted}-{user_id}", size=size)
    return Page(_moments(actor, user_id, page.items), page.next_cursor, page.previous_cursor)


@needs(Capability.USER_FIND)
def latest_moments(actor: Actor, user_id: UUID) -> list[Moment]:
    """The latest of it for a panel on a record, which notes the look itself and shows notes and refusals besides."""
    user_record(actor, user_id)
    return _moments(actor, user_id, merged_page(_entries(user_id, ""), None, purpose="timeline", size=LATEST).items)


def _moments(actor: Actor, user_id: UUID, rows: list[Any]) -> list[Moment]:
    whole = actor.may(Capability.USER_CONTACT) or (user_id, ADDRESS) in unmasked(actor)
    authors = {row.author_id for row in rows if isinstance(row, Note)}
    names = {one.id: one.username for one in db.session.scalars(select(Account).where(Account.id.in_(authors)))}
    return [_moment(actor, user_id, row, names, whole=whole) for row in rows]


def _sources(actor: Actor, user_id: UUID, sort: str) -> list[tuple[Select[Any], list[Any]]]:
    """The lists that have to be read for this sort, each by its own index."""
    sources = _entries(user_id, sort)
    if sort in {"", "note"} and actor.may(Capability.NOTE_WRITE):
        sources.append((select(Note).where(Note.user_id == user_id), [Note.at.desc(), Note.id.desc()]))
    if sort in {"", "refusal"}:
        late = select(Refusal).where(Refusal.user_id == user_id, Refusal.last_at >= clock.now() - KEPT)
        sources.append((late, [Refusal.last_at.desc(), Refusal.id.desc()]))
    return sources


def _entries(user_id: UUID, sort: str) -> list[tuple[Select[Any], list[Any]]]:
    """What was done to the account, what its owner did, and what was done to its keys."""
    chosen = _chosen(sort)
    keys = select(ApiKey.id).where(ApiKey.user_id == user_id)
    order = [AuditEntry.at.desc(), AuditEntry.id.desc()]
    return [
        (select(AuditEntry).where(theirs, chosen), order)
        for theirs in (AuditEntry.target_id == user_id, AuditEntry.actor_id == user_id, AuditEntry.target_id.in_(keys))
    ]


def _chosen(sort: str) -> ColumnElement[bool]:
    """The entries of this sort. That a note was written is told by the note."""
    if not sort:
        return AuditEntry.event.not_in([*LOOKS, events.NOTE_ADDED.name])
    names = [name for name in events.EVENTS if sort_of(name) == sort and name != events.NOTE_ADDED.name]
    return AuditEntry.event.in_(names)


def _moment(actor: Actor, user_id: UUID, row: Any, names: dict[UUID, str], *, whole: bool) -> Moment:
    if isinstance(row, Note):
        return _note(row, names)
    return _refusal(row) if isinstance(row, Refusal) else _entry(actor, user_id, row, whole=whole)


def _note(note: Note, names: dict[UUID, str]) -> Moment:
    return Moment(
        at=note.at,
        sort="note",
        sentence=gettext("wrote a note"),
        who=names.get(note.author_id) or gettext("somebody who is no longer here"),
        details="",
        reason=None,
        case=note.case,
        address="",
        refused=False,
        said=note.words,
    )


def _refusal(refusal: Refusal) -> Moment:
    return Moment(
        at=refusal.last_at,
        sort="refusal",
        sentence=RULES.get(refusal.code, OTHER_RULE).title,
        who=refusal.client_name,
        details=gettext("%(count)s times", count=refusal.count) if refusal.count > 1 else "",
        reason=None,
        case=None,
        address="",
        refused=True,
        refusal_id=refusal.id,
    )


def _entry(actor: Actor, user_id: UUID, entry: AuditEntry, *, whole: bool) -> Moment:
    event = events.EVENTS.get(entry.event)
    theirs = entry.actor_id == user_id or (entry.actor_id is None and entry.event in _TRIES)
    return Moment(
        at=entry.at,
        sort=sort_of(entry.event),
        sentence=event.sentence if event else entry.event,
        who=entry.actor_name,
        details=told_facts(entry.facts),
        reason=entry.reason,
        case=entry.case,
        address=_address(actor, entry.address or "", whole=whole) if theirs else "",
        refused=entry.result != "done",
    )


def _address(actor: Actor, address: str, *, whole: bool) -> str:
    """Whole for who sees contacts or has unmasked it, masked for whoever could, nothing for everybody else."""
    if whole:
        return address
    return mask_address(address) if actor.may(Capability.USER_REVEAL) else ""


def told_facts(facts: dict[str, Any]) -> str:
    """The facts of an entry that may be told to every reader, in a line."""
    told = [facts[name] for name in TOLD if facts.get(name) not in (None, "", [])]
    return " · ".join(", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in told)
