"""Cases: the grounds on which staff act on somebody's account. Opening, acting in one, closing.

A case waits in the queue, is held by one staff member, or is closed. `waiting_since` tells since when somebody waits
for the desk: it is set when the case comes into the queue or the user writes, survives a claim (who hands back does not
send the user to the end of the queue) and is cleared by an answer and by closing.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import exists, func, select, update

from portal.accounts.directory import user_to_help
from portal.accounts.lifecycle import target_of
from portal.accounts.models import Account
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock
from portal.core.access import Capability, needs, open_to_all
from portal.core.actor import MOST_REASON, Actor, ActorKind
from portal.core.database import db
from portal.core.errors import CaseNeeded, Conflict, Invalid, NotFound
from portal.core.ids import new_id
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.support.models import CaseMessage, CaseState, SupportCase

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement

# A held case in which nothing is done for so long closes, or goes back into the queue where the user wrote in it.
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
    user = user_to_help(actor, user_id)
    said, faults = plain_words(reason), {}
    if not can_be_kept(said, MOST_REASON):
        faults["reason"] = gettext("Say in at most 500 characters what it is about.")
    if channel not in CHANNELS or channel == "page":
        faults["channel"] = gettext("Choose one of these.")
    if reference.strip() and not can_be_kept(reference.strip(), MOST_REFERENCE):
        faults["reference"] = gettext("At most %(most)s characters.", most=MOST_REFERENCE)
    if faults:
        raise Invalid(faults)
    take_turns(user_id)
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
    record(within_case(actor, case), events.CASE_OPENED, target_of(user), {"subject": "call", "channel": channel})
    return case


def find_held_case(actor: Actor, user_id: UUID, *, number: str | None = None) -> SupportCase | None:
    """The case about this user (the one of that number) that the actor holds and that has not gone idle, or None."""
    query = select(SupportCase).where(
        SupportCase.holder_id == actor.id,
        SupportCase.user_id == user_id,
        SupportCase.state == CaseState.HELD.value,
        SupportCase.used_at > clock.now() - IDLE,
    )
    if number is not None:
        query = query.where(SupportCase.number == number)
    return db.session.scalars(query.order_by(SupportCase.used_at.desc()).limit(1)).first()


def plain_words(typed: str) -> str:
    """What was typed, trimmed, with the line ends of programs; forms send those of typewriters."""
    return typed.replace("\r\n", "\n").strip()


def can_be_kept(said: str, most: int) -> bool:
    """Whether there are words, not too many, and none that a database refuses: NUL, half of a character."""
    return 0 < len(said) <= most and "\0" not in said and not any("\ud800" <= char <= "\udfff" for char in said)


def take_turns(user_id: UUID) -> None:
    """Let nobody else open or count cases of this user until the transaction is over."""
    same = update(Account).where(Account.id == user_id).values(epoch=Account.epoch)
    db.session.execute(same.execution_options(synchronize_session=False))


def within_case(actor: Actor, case: SupportCase) -> Actor:
    """The actor as acting in this case, with its reason unless one was given."""
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
    case = find_held_case(actor, user_id, number=number)
    if case is None:
        raise CaseNeeded
    db.session.execute(
        update(SupportCase)
        .where(SupportCase.id == case.id)
        .values(used_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    return within_case(actor, case)


@needs(Capability.CASE_WORK)
def close_case(actor: Actor, case_id: UUID, *, outcome: str, read: UUID | None = None) -> SupportCase:
    """Close a case that the actor holds, saying what came of it; the user may read that.

    `read` is the last message that the actor has read: nobody closes over what the user wrote meanwhile. Raises
    Conflict, Invalid, NotFound.
    """
    case, said = case_of_id(case_id), plain_words(outcome)
    if not can_be_kept(said, MOST_OUTCOME):
        raise Invalid({"outcome": gettext("Say in at most %(most)s characters what came of it.", most=MOST_OUTCOME)})
    take_turns(case.user_id)
    written = select(CaseMessage.id, CaseMessage.by_user).where(CaseMessage.case_id == case_id)
    last = db.session.execute(written.order_by(CaseMessage.at.desc(), CaseMessage.id.desc()).limit(1)).first()
    if read is not None and last is not None and last.by_user and last.id != read:
        raise Conflict(gettext("The user wrote meanwhile: read that first."))
    change_held(actor, case, **_closed(actor), outcome=said)
    record(within_case(actor.because(said), case), events.CASE_CLOSED, Target("user", case.user_id), {"why": "done"})
    return case


def case_of_id(case_id: UUID) -> SupportCase:
    """The case as it stands. Raises NotFound."""
    case = db.session.get(SupportCase, case_id, populate_existing=True)
    if case is None:
        raise NotFound
    return case


def change_held(actor: Actor, case: SupportCase, **values: Any) -> None:
    """Change a case as long as the actor holds it. Raises Conflict where they do not, or do not any more."""
    held = update(SupportCase).where(
        SupportCase.id == case.id, SupportCase.state == CaseState.HELD.value, SupportCase.holder_id == actor.id
    )
    done = db.session.execute(
        held.values(**values).returning(SupportCase.id).execution_options(synchronize_session=False)
    ).scalar()
    db.session.refresh(case)
    if done is None:
        closed = case.state == CaseState.CLOSED
        raise Conflict(gettext("This case is closed already.") if closed else gettext("You do not hold this case."))


def _closed(actor: Actor) -> dict[str, Any]:
    over = {"state": CaseState.CLOSED.value, "closed_at": clock.now(), "closed_by": actor.id}
    return over | {"holder_id": None, "wanted_id": None, "waiting_since": None}


def close_cases_of(actor: Actor, user_id: UUID) -> None:
    """Close every case about a user who is being deleted."""
    _end_all(actor, (SupportCase.user_id == user_id) & (SupportCase.state != CaseState.CLOSED.value), "deleted")


def close_idle_cases(actor: Actor) -> tuple[int, int]:
    """End what nobody did anything in for an hour; for the job. Answers how many were closed, how many went back.

    A case that the user opened, or in which they wrote, goes back into the queue: they were promised an answer.
    """
    idle = (SupportCase.state == CaseState.HELD.value) & (SupportCase.used_at <= clock.now() - IDLE)
    wrote = exists().where(CaseMessage.case_id == SupportCase.id, CaseMessage.by_user)
    back = db.session.execute(
        update(SupportCase)
        .where(idle, (SupportCase.channel == "page") | wrote)
        .values(**in_queue())
        .returning(SupportCase.number, SupportCase.user_id)
        .execution_options(synchronize_session=False)
    ).all()
    for number, user_id in back:
        acting = msgspec.structs.replace(actor, case=number, on_behalf_of=user_id)
        record(acting, events.CASE_HANDED_BACK, Target("user", user_id))
    return _end_all(actor, idle, "idle"), len(back)


def in_queue() -> dict[str, Any]:
    """The values of a case that comes into the queue: whoever waits already keeps their place."""
    since = func.coalesce(SupportCase.waiting_since, clock.now())
    return {"state": CaseState.WAITING.value, "holder_id": None, "wanted_id": None, "waiting_since": since}


def _end_all(actor: Actor, which: ColumnElement[bool], why: str) -> int:
    ended = db.session.execute(
        update(SupportCase)
        .where(which)
        .values(**_closed(actor))
        .returning(SupportCase.number, SupportCase.user_id)
        .execution_options(synchronize_session=False)
    ).all()
    for number, user_id in ended:
        acting = msgspec.structs.replace(actor, case=number, on_behalf_of=user_id)
        record(acting, events.CASE_CLOSED, Target("user", user_id), {"why": why})
    return len(ended)
