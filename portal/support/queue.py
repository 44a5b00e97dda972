"""What the desk sees of cases: one's own, the queue, those about a user, and one with all that was done in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import func, or_, select

from portal.accounts.directory import user_record
from portal.accounts.lifecycle import target_of
from portal.accounts.models import Account, State
from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.record import record
from portal.core import clock
from portal.core.access import LEVELS, Capability, needs
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.pages import PAGE_SIZE, Page, page_of
from portal.support.cases import IDLE, find_held_case, within_case
from portal.support.handing import open_to
from portal.support.messages import messages_in
from portal.support.models import CaseMessage, CaseState, SupportCase

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from babel.support import LazyProxy
    from sqlalchemy import Select

    from portal.core.actor import Actor

NUMBER = re.compile("C-[0-9A-Z]{6}")
LATELY = timedelta(days=7)
MOST_LISTED, MOST_DEEDS, MOST_WAITING = 50, 100, 100
EXCERPT = 140


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A case in a list. `excerpt` is how it begins; `answered` says that the desk had the last word in it.

    `idle_at` is when a held one ends, or goes back into the queue, unless something is done in it.
    """

    case: SupportCase
    user: Account
    holder: str | None
    wanted: str | None
    excerpt: str
    answered: bool
    mine: bool
    idle_at: datetime | None


@dataclass(frozen=True, slots=True)
class CaseDeed:
    """One thing done in a case."""

    at: datetime
    sentence: LazyProxy | str
    who: str
    reason: str | None
    refused: bool


@dataclass(frozen=True, slots=True)
class CaseSeen:
    """One case with its talk and what was done in it, latest first."""

    line: CaseLine
    messages: list[CaseMessage]
    deeds: list[CaseDeed]
    names: dict[UUID, str]
    claimable: bool


@dataclass(frozen=True, slots=True)
class OwnDesk:
    """The cases of a staff member: handed to them, held by them, closed by them within a week."""

    handed: list[CaseLine]
    held: list[CaseLine]
    closed: list[CaseLine]


@dataclass(frozen=True, slots=True)
class CasesAbout:
    """The cases about a user: the one that the actor acts in, others that are open, how many are over."""

    own: CaseLine | None
    others: list[CaseLine]


@needs(Capability.CASE_WORK)
def own_desk(actor: Actor) -> OwnDesk:
    """What is the actor's to do, longest waiting first, and what they lately closed."""
    mine, state = SupportCase.holder_id == actor.id, SupportCase.state
    waiting = (SupportCase.wanted_id == actor.id) & (state == CaseState.WAITING.value)
    lately = (SupportCase.closed_by == actor.id) & (SupportCase.closed_at > clock.now() - LATELY)

    def listed(condition: object, order: object) -> list[CaseLine]:
        query = select(SupportCase).where(condition).order_by(order, SupportCase.id).limit(MOST_LISTED)  # type: ignore[arg-type]  # conditions of ours
        return _lines(actor, list(db.session.scalars(query)))

    return OwnDesk(
        handed=listed(waiting & open_to(actor), SupportCase.waiting_since),
        held=listed(mine & (state == CaseState.HELD.value), SupportCase.used_at),
        closed=listed((state == CaseState.CLOSED.value) & lately, SupportCase.closed_at.desc()),
    )


@needs(Capability.CASE_WORK)
def waiting_cases(
    actor: Actor, level: int | None = None, cursor: str | None = None, *, size: int = PAGE_SIZE
) -> Page[CaseLine]:
    """One page of the queue, longest waiting first: what the actor may take, or all that waits at a level."""
    query = select(SupportCase).where(SupportCase.state == CaseState.WAITING.value)
    query = query.where(open_to(actor) if level not in LEVELS else SupportCase.level == level)
    order = [SupportCase.waiting_since.asc(), SupportCase.id.asc()]
    page = page_of(query, order, cursor, purpose=f"queue-{level}", size=size)
    return Page(_lines(actor, page.items), page.next_cursor, page.previous_cursor)


@needs(Capability.CASE_WORK)
def count_for_me(actor: Actor) -> int:
    """How many cases wait for the actor: handed to them, or theirs with somebody waiting for an answer."""
    handed = (SupportCase.wanted_id == actor.id) & (SupportCase.state == CaseState.WAITING.value)
    asked = (SupportCase.holder_id == actor.id) & (SupportCase.state == CaseState.HELD.value)
    asked &= SupportCase.waiting_since.is_not(None) & (SupportCase.channel == "page")
    found = select(SupportCase.id).where(or_(handed, asked)).limit(MOST_WAITING)
    return len(db.session.scalars(found).all())


@needs(Capability.CASE_WORK)
def count_waiting(actor: Actor) -> int:
    """How many cases the actor could take from the queue, counted no further than a hundred."""
    return len(db.session.scalars(select(SupportCase.id).where(open_to(actor)).limit(MOST_WAITING)).all())


@needs(Capability.CASE_WORK)
def cases_about(actor: Actor, user_id: UUID) -> CasesAbout:
    """The open cases about a user, as the record shows them."""
    query = select(SupportCase).where(SupportCase.user_id == user_id, SupportCase.state != CaseState.CLOSED.value)
    found = list(db.session.scalars(query.order_by(SupportCase.opened_at.desc(), SupportCase.id).limit(MOST_LISTED)))
    own = find_held_case(actor, user_id)
    lines = _lines(actor, found)
    first = next((line for line in lines if own is not None and line.case.id == own.id), None)
    return CasesAbout(first, [line for line in lines if line is not first])


@needs(Capability.CASE_WORK, Capability.NOTE_WRITE)
def all_cases_of(actor: Actor, user_id: UUID, cursor: str | None = None) -> Page[CaseLine]:
    """A page of all cases about a user, newest first; admins read what the desk did. Raises NotFound, Malformed."""
    user_record(actor, user_id)
    query = select(SupportCase).where(SupportCase.user_id == user_id)
    order = [SupportCase.opened_at.desc(), SupportCase.id.desc()]
    page = page_of(query, order, cursor, purpose=f"cases-{user_id}")
    return Page(_lines(actor, page.items), page.next_cursor, page.previous_cursor)


@needs(Capability.CASE_WORK, Capability.NOTE_WRITE)
def find_case(actor: Actor, typed: str) -> SupportCase | None:
    """The case whose whole number somebody typed, if there is one."""
    wanted = typed.strip().upper()
    if NUMBER.fullmatch(wanted) is None:
        return None
    case = db.session.scalars(select(SupportCase).where(SupportCase.number == wanted)).one_or_none()
    user = db.session.get(Account, case.user_id) if case else None
    return case if user is not None and user.state != State.DELETED else None


@needs(Capability.CASE_WORK, Capability.NOTE_WRITE)
def case_named(actor: Actor, number: str) -> SupportCase:
    """The case of this number. Raises NotFound, also where its user is deleted."""
    case = find_case(actor, number)
    if case is None:
        raise NotFound
    return case


@needs(Capability.CASE_WORK, Capability.NOTE_WRITE)
def open_case_page(actor: Actor, number: str) -> CaseSeen:
    """A case with what was said and done in it. Leaves an audit entry, as every look at a record does.

    Raises NotFound.
    """
    case = case_named(actor, number)
    user = user_record(actor, case.user_id)
    within = within_case(actor, case) if case.holder_id == actor.id else msgspec.structs.replace(actor, case=number)
    record(within, events.RECORD_VIEWED, target_of(user))
    messages = messages_in(case.id)
    claimable = (
        actor.may(Capability.CASE_WORK)
        and db.session.scalar(select(SupportCase.id).where(SupportCase.id == case.id, open_to(actor))) is not None
    )
    return CaseSeen(
        line=_lines(actor, [case])[0],
        messages=messages,
        deeds=_deeds(case),
        names=_names({message.author_id for message in messages if not message.by_user}),
        claimable=claimable,
    )


def _deeds(case: SupportCase) -> list[CaseDeed]:
    """What was done in a case, but looking at it."""
    done = select(AuditEntry).where(AuditEntry.case == case.number, AuditEntry.event != events.RECORD_VIEWED.name)
    entries = db.session.scalars(done.order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(MOST_DEEDS))
    return [
        CaseDeed(
            at=entry.at,
            sentence=events.EVENTS[entry.event].sentence if entry.event in events.EVENTS else entry.event,
            who=entry.actor_name,
            reason=entry.reason if entry.reason != case.reason else None,
            refused=entry.result != "done",
        )
        for entry in entries
    ]


def _names(ids: set[UUID]) -> dict[UUID, str]:
    if not ids:
        return {}
    return {account.id: account.shown_name for account in db.session.scalars(_accounts(ids))}


def _accounts(ids: set[UUID]) -> Select[Account]:
    return select(Account).where(Account.id.in_(ids))


def _lines(actor: Actor, cases: list[SupportCase]) -> list[CaseLine]:
    if not cases:
        return []
    ids = {one for case in cases for one in (case.user_id, case.holder_id, case.wanted_id) if one is not None}
    people = {account.id: account for account in db.session.scalars(_accounts(ids))}
    names = {found: account.shown_name for found, account in people.items()}
    ends = _ends_of([case.id for case in cases])
    return [
        CaseLine(
            case=case,
            user=people[case.user_id],
            holder=names.get(case.holder_id) if case.holder_id else None,
            wanted=names.get(case.wanted_id) if case.wanted_id else None,
            excerpt=_excerpt(case, ends.get(case.id)),
            answered=case.id in ends and not ends[case.id][1].by_user,
            mine=case.holder_id == actor.id,
            idle_at=case.used_at + IDLE if case.state == CaseState.HELD else None,
        )
        for case in cases
        if people[case.user_id].state != State.DELETED
    ]


def _excerpt(case: SupportCase, ends: tuple[CaseMessage, CaseMessage] | None) -> str:
    said = ends[0].words if ends and case.channel == "page" else case.reason
    line = " ".join(said.split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"


def _ends_of(case_ids: list[UUID]) -> dict[UUID, tuple[CaseMessage, CaseMessage]]:
    """The first and the last message of each case that has any."""
    of = CaseMessage.case_id
    first = func.row_number().over(partition_by=of, order_by=(CaseMessage.at, CaseMessage.id))
    last = func.row_number().over(partition_by=of, order_by=(CaseMessage.at.desc(), CaseMessage.id.desc()))
    placed = select(CaseMessage.id, first.label("first"), last.label("last"))
    inner = placed.where(CaseMessage.case_id.in_(case_ids)).subquery()
    query = select(CaseMessage).join(inner, inner.c.id == CaseMessage.id)
    found = db.session.scalars(
        query.where(or_(inner.c.first == 1, inner.c.last == 1)).order_by(CaseMessage.at, CaseMessage.id)
    )
    ends: dict[UUID, tuple[CaseMessage, CaseMessage]] = {}
    for message in found:
        ends[message.case_id] = (ends.get(message.case_id, (message, message))[0], message)
    return ends
