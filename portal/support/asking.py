"""The user's door to the desk: asking for help, writing in one's cases, seeing what became of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import func, select, update

from portal.accounts.lifecycle import target_of
from portal.accounts.models import State, User
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import Conflict, Forbidden, Invalid, LimitReached, NotFound
from portal.core.ids import new_id
from portal.core.pages import Page, page_of
from portal.core.text import gettext
from portal.support.cases import SUBJECTS, new_number, take_turns
from portal.support.messages import checked_words, messages_in, say_in
from portal.support.models import CaseMessage, CaseState, SupportCase
from portal.usage.refusal_reading import find_refusal

if TYPE_CHECKING:
    from portal.core.actor import Actor

MOST_OPEN = 5
MOST_AN_HOUR = 20
# How long after it was closed a case opens again when the user writes in it.
REOPENS = timedelta(days=7)
ASKED = ("help", "more")


@needs(Capability.CASE_OWN)
def ask_for_help(actor: Actor, *, subject: str, words: str, decision: str = "") -> SupportCase:
    """Open a case of one's own, which waits for level 1. `decision` names a refused call of one's own.

    Raises Invalid at "subject", "message", "decision"; LimitReached with five cases open or twenty messages in an hour.
    """
    user = _own(actor)
    if subject not in ASKED:
        raise Invalid({"subject": gettext("Choose one of these.")})
    said, told = checked_words(words), decision.strip()
    refused = find_refusal(actor, told) if told else None
    if told and refused is None:
        raise Invalid({"decision": gettext("None of your refused calls of the last 30 days has this decision ID.")})
    take_turns(user.id)
    _check_open(user)
    _check_hour(user)
    now = clock.now()
    case = SupportCase(
        id=new_id(),
        number=new_number(),
        user_id=user.id,
        opened_by=user.id,
        opened_at=now,
        subject=subject,
        channel="page",
        reason=str(SUBJECTS[subject]),
        decision_id=refused.id if refused else None,
        state=CaseState.WAITING.value,
        waiting_since=now,
        used_at=now,
    )
    db.session.add(case)
    db.session.flush()
    say_in(case, user.id, said, by_user=True)
    record(msgspec.structs.replace(actor, case=case.number), events.HELP_ASKED, target_of(user), {"subject": subject})
    return case


@needs(Capability.CASE_OWN)
def write_in_case(actor: Actor, number: str, *, words: str) -> SupportCase:
    """Write in a case of one's own; one that was closed within seven days opens again and waits in the queue.

    Raises NotFound, Invalid at "message", Conflict for one that is over for longer, LimitReached.
    """
    user = _own(actor)
    case, said = own_case(actor, number)[0], checked_words(words)
    take_turns(user.id)
    _check_hour(user)
    now = clock.now()
    waits = update(SupportCase).where(SupportCase.id == case.id, SupportCase.state != CaseState.CLOSED.value)
    waits = waits.values(waiting_since=func.coalesce(SupportCase.waiting_since, now)).returning(SupportCase.id)
    reopened = db.session.execute(waits.execution_options(synchronize_session=False)).scalar() is None
    if reopened:
        _check_open(user)
        _reopen(case)
    say_in(case, user.id, said, by_user=True)
    record(
        msgspec.structs.replace(actor, case=case.number), events.CASE_WRITTEN, target_of(user), {"reopened": reopened}
    )
    db.session.refresh(case)
    return case


def _reopen(case: SupportCase) -> None:
    now = clock.now()
    again = (
        update(SupportCase)
        .where(SupportCase.id == case.id, SupportCase.state == CaseState.CLOSED.value)
        .where(SupportCase.closed_at > now - REOPENS)
        .values(state=CaseState.WAITING.value, waiting_since=now, closed_at=None, closed_by=None)
        .returning(SupportCase.id)
    )
    if db.session.execute(again.execution_options(synchronize_session=False)).scalar() is None:
        raise Conflict(gettext("This case has been closed for over 7 days. Ask for help again instead."))


@needs(Capability.CASE_OWN)
def own_cases(actor: Actor, cursor: str | None = None) -> Page[SupportCase]:
    """One page of the cases about oneself, newest first."""
    query = select(SupportCase).where(SupportCase.user_id == actor.id)
    return page_of(query, [SupportCase.opened_at.desc(), SupportCase.id.desc()], cursor, purpose="own-cases")


@needs(Capability.CASE_OWN)
def own_case(actor: Actor, number: str) -> tuple[SupportCase, bool]:
    """A case about oneself, and whether one can write in it. Raises NotFound, also for those of others."""
    query = select(SupportCase).where(SupportCase.number == number[:12].replace("\0", "").upper())
    case = db.session.scalars(query.where(SupportCase.user_id == actor.id)).one_or_none()
    if case is None:
        raise NotFound
    return case, case.closed_at is None or case.closed_at > clock.now() - REOPENS


@needs(Capability.CASE_OWN)
def own_talk(actor: Actor, number: str) -> list[CaseMessage]:
    """What was said in a case about oneself, oldest first. Raises NotFound."""
    return messages_in(own_case(actor, number)[0].id)


def _own(actor: Actor) -> User:
    user = db.session.get(User, actor.id)
    if user is None:
        raise NotFound
    if user.state != State.ACTIVE:
        raise Forbidden
    return user


def _check_open(user: User) -> None:
    """Raises LimitReached where the user has as many cases of their own open as one may."""
    own = (SupportCase.user_id == user.id) & (SupportCase.opened_by == user.id)
    living = select(SupportCase.id).where(own, SupportCase.state != CaseState.CLOSED.value).limit(MOST_OPEN)
    if len(db.session.scalars(living).all()) >= MOST_OPEN:
        words = gettext("%(most)s cases of yours are open: write in one of them instead.", most=MOST_OPEN)
        raise LimitReached(words, retry_after=3600)


def _check_hour(user: User) -> None:
    """Raises LimitReached where the user wrote as much within an hour as one may."""
    since = clock.now() - timedelta(hours=1)
    lately = (
        select(CaseMessage.at)
        .join(SupportCase, SupportCase.id == CaseMessage.case_id)
        .where(SupportCase.user_id == user.id, CaseMessage.by_user, CaseMessage.at > since)
        .order_by(CaseMessage.at.desc())
        .limit(MOST_AN_HOUR)
    )
    written = db.session.scalars(lately).all()
    if len(written) >= MOST_AN_HOUR:
        words = gettext("That is %(most)s messages within an hour. Wait a little, then write again.", most=MOST_AN_HOUR)
        raise LimitReached(words, retry_after=int((written[-1] - since).total_seconds()) + 1)
