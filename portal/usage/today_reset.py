"""Giving a user today's limit back: the counter begins anew, what was used stays true in the history.

The counter is set to what open leases of the day still hold, not to nothing: those units are out, and come back by
themselves when they are not used. So a reset never gives a unit twice, and nothing falls below zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from portal.accounts.lifecycle import check_managed, target_of
from portal.accounts.models import State, User
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db, writing_connection
from portal.core.errors import Conflict, NotFound
from portal.core.text import gettext
from portal.usage.budget import budget_of, today_of
from portal.usage.models import Lease, UsageDay, UsageWarning

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

    from portal.core.actor import Actor

MOST_A_DAY = 2


@dataclass(frozen=True, slots=True)
class TodayStanding:
    """What a reset would find: conversations counted today, of them held by open leases, the limit, and how often
    today may still be reset.
    """

    day: date
    used: int
    held: int
    limit: int
    resets_left: int

    @property
    def given_back(self) -> int:
        """How many conversations a reset would give back."""
        return max(0, self.used - self.held)


@needs(Capability.USAGE_RESET, case=True)
def today_of_user(actor: Actor, user_id: UUID) -> TodayStanding:
    """What resetting today would do. Raises NotFound, Forbidden, CaseNeeded, and Conflict where it would do nothing."""
    return _standing(_user(actor, user_id))


@needs(Capability.USAGE_RESET, case=True)
def reset_today(actor: Actor, user_id: UUID) -> TodayStanding:
    """Give a user today's limit back, twice a usage day at most, whoever does it. Answers how it stood before.

    The history, the credits and the own limits of keys stay as they are. Raises NotFound, Forbidden, CaseNeeded,
    Conflict.
    """
    user = _user(actor, user_id)
    writing_connection()
    # The day is locked before the leases are looked at: one that is being granted has its row by then.
    row = db.session.get(UsageDay, (user.id, today_of(user)), populate_existing=True, with_for_update=True)
    before = _standing(user)
    if row is None:
        raise Conflict(gettext("Nothing was used today."))
    row.given_back += before.given_back
    row.used -= before.given_back
    row.resets += 1
    marks = delete(UsageWarning).where(UsageWarning.user_id == user.id, UsageWarning.day == row.day)
    db.session.execute(marks.execution_options(synchronize_session=False))
    facts = {"day": row.day.isoformat(), "used": before.given_back}
    record(actor, events.TODAY_RESET, target_of(user), facts)
    return before


def _user(actor: Actor, user_id: UUID) -> User:
    user = db.session.get(User, user_id)
    if user is None or user.state == State.DELETED:
        raise NotFound
    check_managed(actor, user, Capability.USAGE_RESET)
    return user


def _standing(user: User) -> TodayStanding:
    day, limit = today_of(user), budget_of(user).limit_at(clock.now())
    if limit is None:
        raise Conflict(gettext("This user has no daily limit."))
    row = db.session.get(UsageDay, (user.id, day))
    unreported = func.sum(Lease.conversations - Lease.used_conversations)
    open_now = (Lease.user_id == user.id, Lease.day == day, Lease.state == "open", Lease.ends_at > clock.now())
    held = int(db.session.scalar(select(unreported).where(*open_now)) or 0)
    found = TodayStanding(
        day=day,
        used=row.used if row else 0,
        held=held,
        limit=limit,
        resets_left=max(0, MOST_A_DAY - (row.resets if row else 0)),
    )
    if not found.resets_left:
        raise Conflict(gettext("Today was reset twice already; that is the most for one day."))
    if not found.given_back:
        raise Conflict(gettext("There is nothing to give back: nothing that was used today still counts."))
    return found
