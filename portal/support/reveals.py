"""Unmasking one field of a user for a while: for a reason, in a case, so many a day, and for nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from portal.accounts.directory import user_record
from portal.accounts.lifecycle import target_of
from portal.accounts.models import StaffMember
from portal.audit import events
from portal.audit.record import record
from portal.core import clock, settings
from portal.core.access import Capability, check_case, needs
from portal.core.database import db
from portal.core.errors import Forbidden, Invalid, LimitReached
from portal.core.ids import new_id
from portal.core.text import gettext
from portal.core.text import lazy_gettext as words
from portal.support.models import Reveal

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from portal.core.actor import Actor

EMAIL, ADDRESS = "email", "address"
FIELDS = {EMAIL: words("E-mail"), ADDRESS: words("Network addresses")}


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many fields the actor may still unmask today (UTC), of how many, and when the next day begins."""

    left: int
    most: int
    renews_at: datetime


@needs(Capability.USER_REVEAL)
def allowance_of(actor: Actor) -> Allowance:
    """How the actor stands with revealing."""
    midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    counted = select(func.count()).select_from(Reveal).where(Reveal.reader_id == actor.id, Reveal.at >= midnight)
    most = settings.current().staff_reveals_per_day
    left = max(0, most - (db.session.scalar(counted) or 0))
    return Allowance(left, most, midnight + timedelta(days=1))


@needs(Capability.USER_REVEAL, case=True)
def reveal(actor: Actor, user_id: UUID, field: str) -> Reveal:
    """Unmask a field of a user for the actor, for REVEAL_OPEN_S seconds. Within them the same again costs nothing and
    lasts no longer.

    Raises CaseNeeded, NotFound, Invalid, LimitReached where the day's allowance is used up.
    """
    check_case(actor, user_id)
    user = user_record(actor, user_id)
    if field not in FIELDS:
        raise Invalid({"field": gettext("Choose one of these.")})
    if actor.id is None:
        raise Forbidden  # nobody to whom it could be shown later
    _take_turns(actor.id)
    if (held := _open(actor.id).get((user_id, field))) is not None:
        return held
    allowance = allowance_of(actor)
    if not allowance.left:
        told = gettext(
            "You have unmasked %(most)s fields today, which is the most. A new day begins at 00:00 UTC.",
            most=f"{allowance.most:,}",
        )
        wait = allowance.renews_at - clock.now()
        raise LimitReached(told, retry_after=int(wait.total_seconds()) + 1)
    now = clock.now()
    made = Reveal(
        id=new_id(),
        reader_id=actor.id,
        user_id=user_id,
        field=field,
        reason=actor.reason or "",
        case=actor.case,
        at=now,
        until=now + timedelta(seconds=settings.current().reveal_open_s),
    )
    db.session.add(made)
    facts = {"field": field, "until": made.until.isoformat(timespec="seconds")}
    record(actor, events.FIELD_REVEALED, target_of(user), facts)
    return made


def _take_turns(reader_id: UUID) -> None:
    """Let nobody else reveal for this reader till the commit: of many at once no more get through than may.

    Writes the reader's row as it is; what is read after it is what is there.
    """
    member = update(StaffMember).where(StaffMember.account_id == reader_id).values(level=StaffMember.level)
    db.session.execute(member.execution_options(synchronize_session=False))


def _open(reader_id: UUID) -> dict[tuple[UUID, str], Reveal]:
    now = clock.now()
    longest = timedelta(seconds=settings.current().reveal_open_s)
    query = select(Reveal).where(Reveal.reader_id == reader_id, Reveal.at > now - longest, Reveal.until > now)
    return {(one.user_id, one.field): one for one in db.session.scalars(query)}


@needs(Capability.USER_FIND)
def unmasked(actor: Actor) -> dict[tuple[UUID, str], datetime]:
    """What the actor has unmasked and may still see: until when, by user and field."""
    if actor.id is None or not actor.may(Capability.USER_REVEAL):
        return {}
    return {which: one.until for which, one in _open(actor.id).items()}
