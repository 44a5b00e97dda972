"""Cases: the grounds on which staff act on somebody's account. Opening, acting in one, closing."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select, update

from portal.accounts.directory import user_record
from portal.accounts.lifecycle import target_of
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock
from portal.core.access import Capability, needs, open_to_all
from portal.core.actor import Actor, ActorKind
from portal.core.database import db
from portal.core.errors import CaseNeeded, Conflict, Invalid, NotFound
from portal.core.ids import new_id
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.support.models import CaseState, SupportCase

if TYPE_CHECKING:
    from uuid import UUID

# A held case in which nothing is done for so long closes; one that waits in the queue does not.
IDLE = timedelta(minutes=60)
# How the matter came to the desk, as whoever opens a case chooses.
CHANNELS = {
    "phone": words("Phone"),
    "mail": words("Mail"),
    "chat": words("Chat"),
    "person": words("In person"),
    "page": words("Asked for help on a page"),
    "other": words("Something else"),
}
SUBJECTS = {
    "call": words("Asked at the desk"),
    "help": words("Asks for help"),
    "more": words("Asks for more"),
}
MOST_REFERENCE, MOST_OUTCOME = 80, 500
# No vowels, so that no word is spelt, and nothing that is heard for something else.
_LETTERS = "23456789BCDFGHJKMNPQRSTVWXZ"
CLOSE_CASES_JOB = "close_idle_cases"


def new_number() -> str:
    """A number for a case, fit to be told on the phone: C-7K3M9Q."""
    return "C-" + "".join(secrets.choice(_LETTERS) for _ in range(6))


@needs(Capability.CASE_WORK)
def open_case(actor: Actor, user_id: UUID, *, reason: str, channel: str, reference: str = "") -> SupportCase:
    """Open a case about a user who asks at the desk, and hold it. Raises Conflict where the actor holds one about the
    same user already, Invalid, NotFound.
    """
    user = user_record(actor, user_id)
    said, faults = reason.strip(), {}
    if not said or len(said) > 500:
        faults["reason"] = gettext("Say in at most 500 characters what it is about.")
    if channel not in CHANNELS or channel == "page":
        faults["channel"] = gettext("Choose one of these.")
    if len(reference.strip()) > MOST_REFERENCE:
        faults["reference"] = gettext("At most %(most)s characters.", most=MOST_REFERENCE)
    if faults:
        raise Invalid(faults)
    if find_held_case(actor, user_id) is not None:
        raise Conflict(gettext("You hold an open case about this user already."))
    if actor.id is None:
        raise NotFound  # nobody who could hold it
    now = clock.now()
    case = SupportCase(
        id=new_id(),
        number=new_number(),
        user_id=user_id,
        opened_by=actor.id,
        opened_at=now,
        subject="call",
        channel=channel,
        reference=reference.strip(),
        reason=said,
        state=CaseState.HELD.value,
        holder_id=actor.id,
        used_at=now,
    )
    db.session.add(case)
    record(_within(actor, case), events.CASE_OPENED, target_of(user), {"subject": "call", "channel": channel})
    return case


def find_held_case(actor: Actor, user_id: UUID) -> SupportCase | None:
    """The case about this user that the actor holds and that has not gone idle, or None."""
    query = select(SupportCase).where(
        SupportCase.holder_id == actor.id,
        SupportCase.user_id == user_id,
        SupportCase.state == CaseState.HELD.value,
        SupportCase.used_at > clock.now() - IDLE,
    )
    return db.session.scalars(query.order_by(SupportCase.used_at.desc()).limit(1)).first()


def _within(actor: Actor, case: SupportCase) -> Actor:
    reason = actor.reason or case.reason
    acting = {"case": case.number, "case_of": case.user_id, "on_behalf_of": case.user_id, "reason": reason}
    return msgspec.structs.replace(actor, **acting)


@open_to_all("whoever is no staff acts without a case; the verb behind decides what that is good for")
def in_case(actor: Actor, user_id: UUID, *, number: str | None = None) -> Actor:
    """The actor as acting in the case about this user that they hold, which counts as a use of it.

    Its reason is that of the case unless one was given. With `number`, in that case and no other. Raises CaseNeeded for
    staff without one; everybody else comes back unchanged.
    """
    if actor.kind is not ActorKind.STAFF:
        return actor
    case = find_held_case(actor, user_id)
    if case is None or number not in {None, case.number}:
        raise CaseNeeded
    db.session.execute(
        update(SupportCase)
        .where(SupportCase.id == case.id)
        .values(used_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    return _within(actor, case)


@needs(Capability.CASE_WORK)
def close_case(actor: Actor, case_id: UUID, *, outcome: str) -> SupportCase:
    """Close a case that the actor holds, saying what came of it. Raises Conflict, Invalid, NotFound."""
    case = db.session.get(SupportCase, case_id)
    if case is None or case.holder_id != actor.id:
        raise NotFound
    said = outcome.strip()
    if not said or len(said) > MOST_OUTCOME:
        raise Invalid({"outcome": gettext("Say in at most %(most)s characters what came of it.", most=MOST_OUTCOME)})
    closed = db.session.execute(
        update(SupportCase)
        .where(SupportCase.id == case_id, SupportCase.state == CaseState.HELD.value, SupportCase.holder_id == actor.id)
        .values(state=CaseState.CLOSED.value, closed_at=clock.now(), closed_by=actor.id, outcome=said, holder_id=None)
        .returning(SupportCase.id)
    ).scalar()
    if closed is None:
        raise Conflict(gettext("This case is closed already."))
    record(_within(actor, case), events.CASE_CLOSED, Target("user", case.user_id), {"why": "done"})
    return case


def close_idle_cases(actor: Actor) -> int:
    """Close the held cases in which nothing was done for an hour; for the job. Answers how many were."""
    idle = (SupportCase.state == CaseState.HELD.value) & (SupportCase.used_at <= clock.now() - IDLE)
    closed = db.session.execute(
        update(SupportCase)
        .where(idle)
        .values(state=CaseState.CLOSED.value, closed_at=clock.now(), holder_id=None)
        .returning(SupportCase.id, SupportCase.number, SupportCase.user_id)
        .execution_options(synchronize_session=False)
    ).all()
    for _, number, user_id in closed:
        acting = msgspec.structs.replace(actor, case=number, on_behalf_of=user_id)
        record(acting, events.CASE_CLOSED, Target("user", user_id), {"why": "idle"})
    return len(closed)
