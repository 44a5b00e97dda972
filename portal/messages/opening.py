"""Opening what was said: the one way by which anybody reads or searches the content of conversations.

Pages, API, search, export and tools come through here: `open_contents` reads, `search_own` and `search_others` look for
words. One's own needs nothing but the right to it; that of another a capability and a reason, and leaves an entry in
the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import or_, select

from portal.accounts.models import Account, Kind
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock, settings
from portal.core.access import Capability, check_case, needs
from portal.core.actor import ActorKind
from portal.core.crypto import BadSeal
from portal.core.data_keys import is_destroyed
from portal.core.database import db
from portal.core.errors import CaseNeeded, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.core.text import gettext
from portal.messages.hits import page_of_hits
from portal.messages.models import ContentOpening, MessageContent, SealedContent
from portal.messages.sealing import open_content, open_quarantined, open_title

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from sqlalchemy import Select

    from portal.core.actor import Actor
    from portal.core.pages import Page
    from portal.messages.models import Conversation, MessageLog, QuarantinedRecord

State = Literal["kept", "gone", "locked"]
CHUNK = 400


@dataclass(frozen=True, slots=True)
class Content:
    """What was said in one log. `gone`: no longer kept, or never; `locked`: sealed by a key that is no more."""

    state: State
    messages: list[dict[str, Any]]
    extra: dict[str, Any] | None


GONE = Content("gone", [], None)


@needs(Capability.OWN_CONVERSATIONS, Capability.LOG_CONTENT)
def open_contents(actor: Actor, logs: Sequence[MessageLog], *, what: str) -> dict[int, Content]:
    """The content of each log by its number. `what` is a word for the audit log: page, search, export, api.

    If only one log is not the actor's own, the actor needs LOG_CONTENT and a reason, and one entry is written for
    each user read; staff need a case about that user besides. Raises Forbidden, CaseNeeded, Invalid at "reason".
    """
    others: dict[UUID, int] = {}
    for log in logs:
        if log.user_id != actor.id or not actor.may(Capability.OWN_CONVERSATIONS):
            others[log.user_id] = others.get(log.user_id, 0) + 1
    if others:
        _check_reason(actor)
        names = _names_of(others)
        for user_id, count in others.items():
            check_case(actor, user_id)
            facts = {"what": what, "count": count}
            record(actor, events.CONTENT_READ, Target("user", user_id, names.get(user_id)), facts)
    return _contents_of(logs)


@needs(Capability.LOG_READ, Capability.LOG_METADATA)
def state_of(actor: Actor, log: MessageLog) -> State:
    """Whether what was said in a log could be opened; nothing of it is told, so no reason is asked for."""
    return _contents_of([log])[log.number].state


@needs(Capability.OWN_CONVERSATIONS)
def open_titles(actor: Actor, talks: Sequence[Conversation]) -> dict[UUID, str]:
    """What the actor's own conversations are called, by their ids: "" where it is no longer kept. Raises Forbidden."""
    if any(talk.user_id != actor.id for talk in talks):
        raise Forbidden
    return {talk.id: _title_of(talk) for talk in talks}


@needs(Capability.OWN_CONVERSATIONS)
def open_set_aside(actor: Actor, records: Sequence[QuarantinedRecord]) -> dict[UUID, str | None]:
    """The actor's own records that could not be stored, as they came; None where no key opens one. Raises Forbidden."""
    if any(one.user_id != actor.id for one in records):
        raise Forbidden
    return {one.id: _line_of(one) for one in records}


def _line_of(aside: QuarantinedRecord) -> str | None:
    if aside.sealed is None:
        return aside.line
    try:
        return open_quarantined(aside.user_id, aside.id, aside.sealed)
    except BadSeal:
        return None


def _title_of(talk: Conversation) -> str:
    if talk.sealed_title is None:
        return talk.title
    try:
        return open_title(talk.user_id, talk.id, talk.sealed_title)
    except BadSeal:
        return ""


@needs(Capability.OWN_CONVERSATIONS)
def search_own(
    actor: Actor, logs: Select[MessageLog], search: str, cursor: str | None = None, *, size: int
) -> Page[MessageLog]:
    """One page of those logs of the actor's own in which every word was said, newest first."""
    if actor.id is None:
        raise Forbidden
    return page_of_hits(logs, search, cursor, owner=actor.id, size=size)


@needs(Capability.LOG_CONTENT)
def search_others(
    actor: Actor,
    logs: Select[MessageLog],
    search: str,
    cursor: str | None = None,
    *,
    user_id: UUID | None,
    what: str,
    size: int,
) -> Page[MessageLog]:
    """One page of logs, of one user or of all, in which every word was said, newest first.

    It leaves an entry with the words' reason, not the words. Raises Forbidden, CaseNeeded, Invalid at "reason".
    """
    _check_reason(actor)
    if actor.kind is ActorKind.STAFF:
        if user_id is None:
            raise CaseNeeded  # a case is about one user, so nobody of the desk searches what all said
        check_case(actor, user_id)
    page = page_of_hits(logs, search, cursor, owner=user_id, size=size)
    name = _names_of([user_id]).get(user_id) if user_id else None
    target = Target("user", user_id, name) if user_id else None
    record(actor, events.CONTENT_SEARCHED, target, {"what": what, "count": len(page.items)})
    return page


def _check_reason(actor: Actor) -> None:
    """Refuse whoever may not read what others said, or does not say why."""
    if not actor.may(Capability.LOG_CONTENT):
        raise Forbidden
    if not (actor.reason or "").strip():
        raise Invalid({"reason": gettext("Say why you need to read this.")})


def _names_of(user_ids: Iterable[UUID]) -> dict[UUID, str]:
    wanted = list(user_ids)
    names: dict[UUID, str] = {}
    for first in range(0, len(wanted), CHUNK):
        query = select(Account.id, Account.username).where(Account.id.in_(wanted[first : first + CHUNK]))
        names |= {row.id: row.username for row in db.session.execute(query)}
    return names


def _contents_of(logs: Sequence[MessageLog]) -> dict[int, Content]:
    found: dict[int, Content] = {}
    for first in range(0, len(logs), CHUNK):
        chunk = {log.number: log for log in logs[first : first + CHUNK]}
        plain = select(MessageContent.number, MessageContent.messages).where(MessageContent.number.in_(chunk))
        for number, messages in db.session.execute(plain):
            found[number] = Content("kept", messages, chunk[number].extra)
        sealed = select(SealedContent.number, SealedContent.sealed).where(SealedContent.number.in_(chunk))
        for number, box in db.session.execute(sealed):
            found[number] = _unsealed(chunk[number], box)
    return {log.number: found.get(log.number, GONE) for log in logs}


def _unsealed(log: MessageLog, box: bytes) -> Content:
    try:
        opened = open_content(log.user_id, log.id, box)
    except BadSeal:
        return GONE if is_destroyed(log.user_id) else Content("locked", [], None)
    return Content("kept", opened["messages"], opened["extra"])


@needs(Capability.LOG_CONTENT)
def find_opening(actor: Actor, user_id: UUID, log_id: UUID | None = None) -> ContentOpening | None:
    """The actor's present opening of this user's content, for all of it or for this log; the one that ends last.

    Its reason is what `actor.because(opening.reason)` hands to `open_contents`.
    """
    query = select(ContentOpening).where(
        ContentOpening.reader_id == actor.id,
        ContentOpening.user_id == user_id,
        ContentOpening.until > clock.now(),
        or_(ContentOpening.log_id.is_(None), ContentOpening.log_id == log_id),
    )
    return db.session.scalars(query.order_by(ContentOpening.until.desc(), ContentOpening.id.desc()).limit(1)).first()


@needs(Capability.LOG_CONTENT, case=True)
def open_for_30_minutes(actor: Actor, user_id: UUID, *, log_id: UUID | None = None) -> ContentOpening:
    """Remember the actor's reason, so that the user's content, or one log, stays open for CONTENT_OPEN_S seconds.

    Raises Forbidden (nobody who could come back), Invalid at "reason", NotFound, CaseNeeded.
    """
    if actor.id is None:
        raise Forbidden
    check_case(actor, user_id)
    _check_reason(actor)
    user = db.session.get(Account, user_id)
    if user is None or user.kind != Kind.USER.value:
        raise NotFound
    now = clock.now()
    opening = ContentOpening(
        id=new_id(),
        reader_id=actor.id,
        reader_kind=actor.kind.value,
        user_id=user_id,
        log_id=log_id,
        reason=actor.reason,
        case=actor.case,
        opened_at=now,
        until=now + timedelta(seconds=settings.current().content_open_s),
    )
    db.session.add(opening)
    facts = {"log": str(log_id) if log_id else None, "until": opening.until.isoformat()}
    record(actor, events.CONTENT_OPENED, Target("user", user_id, user.username), facts)
    return opening
