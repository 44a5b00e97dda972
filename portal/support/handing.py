"""Passing cases on: taking one from the queue, handing it up to a level or a person, putting it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import exists, select, update

from portal.accounts.models import Account, StaffMember, State
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock
from portal.core.access import LEVELS, RANK_STAFF, Capability, needs
from portal.core.actor import MOST_REASON
from portal.core.database import db
from portal.core.errors import Conflict, Forbidden, Invalid
from portal.core.text import gettext
from portal.support.cases import can_be_kept, case_of_id, change_held, in_queue, plain_words, within_case
from portal.support.messages import mail_handed
from portal.support.models import CaseState, SupportCase

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from portal.core.actor import Actor
    from portal.core.errors import PortalError

MOST_PEOPLE = 200


@dataclass(frozen=True, slots=True)
class Takers:
    """To whom a case may be handed: levels at which somebody works, and people."""

    levels: list[int]
    people: list[StaffMember]


def level_of(actor: Actor) -> int:
    """The level of a staff member, told by their rank; 0 for whoever is below all of them."""
    return max(0, min(actor.rank - RANK_STAFF, max(LEVELS)))


def open_to(actor: Actor) -> ColumnElement[bool]:
    """The condition that the actor may take a case from the queue.

    One that was handed to a person is theirs, or that of a higher level; of anybody who can where that person is not
    there any more, or no longer of that level.
    """
    mine = level_of(actor)
    wanted = exists().where(
        StaffMember.account_id == SupportCase.wanted_id,
        Account.id == StaffMember.account_id,
        Account.state == State.ACTIVE.value,
        StaffMember.level >= SupportCase.level,
    )
    free = SupportCase.wanted_id.is_(None) | (SupportCase.wanted_id == actor.id) | ~wanted
    within_reach = (SupportCase.level < mine) | ((SupportCase.level == mine) & free)
    return (SupportCase.state == CaseState.WAITING.value) & within_reach


@needs(Capability.CASE_WORK)
def claim_case(actor: Actor, case_id: UUID) -> SupportCase:
    """Take a case from the queue and hold it. Of two who do so at once one gets it.

    Raises Conflict for a case that is somebody's or over, Forbidden for one of a higher level or for another person,
    NotFound.
    """
    case = case_of_id(case_id)
    taken = db.session.execute(
        update(SupportCase)
        .where(SupportCase.id == case_id, open_to(actor))
        .values(state=CaseState.HELD.value, holder_id=actor.id, wanted_id=None, used_at=clock.now())
        .returning(SupportCase.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    db.session.refresh(case)
    if taken is None:
        raise _not_taken(actor, case)
    record(within_case(actor, case), events.CASE_CLAIMED, Target("user", case.user_id))
    return case


def _not_taken(actor: Actor, case: SupportCase) -> PortalError:
    if case.state == CaseState.CLOSED:
        return Conflict(gettext("This case is closed already."))
    if case.state == CaseState.HELD:
        if case.holder_id == actor.id:
            return Conflict(gettext("You hold this case already."))
        holder = db.session.get(Account, case.holder_id)
        return Conflict(gettext("%(name)s has taken this case on.", name=holder.shown_name if holder else "?"))
    wanted = db.session.get(Account, case.wanted_id) if case.wanted_id and case.level <= level_of(actor) else None
    if wanted is not None:
        return Forbidden(gettext("This case waits for %(name)s.", name=wanted.shown_name))
    return Forbidden(gettext("This case waits for level %(level)s.", level=case.level))


def _checked_why(typed: str) -> str:
    """Why a case is passed on. Raises Invalid at "why"."""
    said = plain_words(typed)
    if not can_be_kept(said, MOST_REASON):
        raise Invalid({"why": gettext("Say in at most %(most)s characters what is to be done.", most=MOST_REASON)})
    return said


@needs(Capability.CASE_WORK)
def takers_of(actor: Actor, case: SupportCase) -> Takers:
    """To whom the actor may hand this case."""
    query = select(StaffMember).where(StaffMember.state == State.ACTIVE.value, StaffMember.level >= case.level)
    at_work = db.session.scalars(query.order_by(StaffMember.username_canonical).limit(MOST_PEOPLE)).all()
    people = [member for member in at_work if member.id != actor.id]
    highest = max((member.level for member in people), default=0)
    return Takers([level for level in LEVELS if level_of(actor) < level <= highest], people)


@needs(Capability.CASE_WORK)
def hand_to_level(actor: Actor, case_id: UUID, *, level: int, why: str) -> SupportCase:
    """Put a case that the actor holds before a level above their own. Raises Conflict, Invalid, NotFound."""
    case, said = case_of_id(case_id), _checked_why(why)
    if level not in takers_of(actor, case).levels:
        raise Invalid({"to": gettext("Choose a level above your own at which somebody works.")})
    change_held(actor, case, **in_queue(), level=level)
    _tell_handed(actor, case, said, person=None)
    return case


@needs(Capability.CASE_WORK)
def hand_to_person(actor: Actor, case_id: UUID, *, person_id: UUID, why: str) -> SupportCase:
    """Put a case that the actor holds before somebody who can take it, who gets a mail. Raises Conflict, Invalid,
    NotFound.
    """
    case, said = case_of_id(case_id), _checked_why(why)
    member = next((one for one in takers_of(actor, case).people if one.id == person_id), None)
    if member is None:
        raise Invalid({"to": gettext("Choose somebody who can take this case.")})
    change_held(actor, case, **in_queue() | {"wanted_id": member.id}, level=member.level)
    _tell_handed(actor, case, said, person=member.username)
    mail_handed(case, member, actor)
    return case


def _tell_handed(actor: Actor, case: SupportCase, why: str, *, person: str | None) -> None:
    facts = {"level": case.level, "person": person}
    acting = within_case(actor.because(why), case)
    record(acting, events.CASE_HANDED_UP, Target("user", case.user_id), facts)


@needs(Capability.CASE_WORK)
def hand_back(actor: Actor, case_id: UUID, *, why: str) -> SupportCase:
    """Put a case that the actor holds back into the queue, at its level. Raises Conflict, Invalid, NotFound."""
    case, said = case_of_id(case_id), _checked_why(why)
    change_held(actor, case, **in_queue())
    record(within_case(actor.because(said), case), events.CASE_HANDED_BACK, Target("user", case.user_id))
    return case
