"""A temporary boost: more conversations a day until an instant, on top of the override or the plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from portal.accounts.lifecycle import target_of
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.errors import Conflict, Invalid
from portal.core.text import Shown, gettext
from portal.usage.plan_changes import limited_user
from portal.usage.plans import plan_of

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from portal.accounts.models import User
    from portal.core.actor import Actor

MOST = 1_000_000
LONGEST = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Boost:
    """So many conversations more a day, until when."""

    extra: int
    until: datetime


def boost_of(user: User) -> Boost | None:
    """The boost that holds for the user now."""
    if user.boost_until is None or user.boost_until <= clock.now():
        return None
    return Boost(user.boost_extra, user.boost_until)


def check_boost(extra: int, until: datetime, *, reason: str = "-") -> None:
    """A boost that can be given. Raises Invalid at "extra", "until" and "reason"."""
    now = clock.now()
    wrong: dict[str, Shown] = {}
    if not 1 <= extra <= MOST:
        wrong["extra"] = gettext("A whole number from 1 to 1,000,000.")
    if not now < until <= now + LONGEST:
        wrong["until"] = gettext("A time to come, at most 90 days ahead.")
    if not reason.strip():
        wrong["reason"] = gettext("Say why.")
    if wrong:
        raise Invalid(wrong)


@needs(Capability.USER_WRITE, Capability.LIMIT_BOOST, case=True)
def boost_limit(actor: Actor, user_id: UUID, extra: int, until: datetime) -> Boost:
    """Raise a user's daily limit by 1 to 1,000,000 conversations until an instant at most 90 days ahead, with the
    actor's reason. It takes the place of the boost before. Raises NotFound, Forbidden, Invalid, Conflict.
    """
    user = limited_user(actor, user_id)
    check_boost(extra, until, reason=actor.reason or "")
    if user.daily_limit_override is None and plan_of(user).daily_limit is None:
        raise Conflict(gettext("This user has no daily limit that could be raised."))
    user.boost_extra, user.boost_until = extra, until
    facts = {"extra": extra, "until": until.isoformat(timespec="seconds")}
    record(actor, events.LIMIT_BOOSTED, target_of(user), facts)
    return Boost(extra, until)


@needs(Capability.USER_WRITE, Capability.LIMIT_BOOST, case=True)
def end_boost(actor: Actor, user_id: UUID) -> None:
    """End a user's boost before its time. Raises NotFound, Forbidden, Conflict."""
    user = limited_user(actor, user_id)
    boost = boost_of(user)
    if boost is None:
        raise Conflict(gettext("There is no boost to end."))
    facts = {"extra": boost.extra, "until": boost.until.isoformat(timespec="seconds")}
    record(actor, events.BOOST_ENDED, target_of(user), facts)
    user.boost_extra, user.boost_until = 0, None
