"""How a user stands, and what was used on which day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.accounts.days import usage_day
from portal.accounts.models import State, User
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import NotFound
from portal.usage.models import CreditEntry, UsageDay
from portal.usage.plans import plan_of
from portal.usage.spending import Budget, Standing, standing_of

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor


def budget_of(user: User) -> Budget:
    """What holds for the user now: the override, else the plan, read at this moment."""
    limit = user.daily_limit_override
    return Budget(user.id, plan_of(user).daily_limit if limit is None else limit, user.calendar)


def _visible(actor: Actor, user_id: UUID) -> User:
    user = db.session.get(User, user_id)
    if user is None or user.state == State.DELETED:
        raise NotFound
    if actor.id != user_id and not actor.may(Capability.USER_FIND):
        raise NotFound
    return user


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def standing(actor: Actor, user_id: UUID) -> Standing:
    """Today's use, limit, reset and credits of a user: the actor, or anyone for the desk and the console."""
    return standing_of(budget_of(_visible(actor, user_id)))


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def last_days(actor: Actor, user_id: UUID, *, days: int = 30) -> list[tuple[date, int]]:
    """(day, conversations used) for each of the last `days` usage days, oldest first, zeros included."""
    user = _visible(actor, user_id)
    today = usage_day(user.calendar, clock.now())
    first = today - timedelta(days=days - 1)
    query = select(UsageDay.day, UsageDay.used).where(UsageDay.user_id == user_id, UsageDay.day >= first)
    used = {row.day: row.used for row in db.session.execute(query)}
    return [(day, used.get(day, 0)) for day in (first + timedelta(days=n) for n in range(days))]


@needs(Capability.OWN_USAGE, Capability.CREDIT_READ, Capability.USER_READ)
def ledger(actor: Actor, user_id: UUID, *, most: int = 20) -> list[CreditEntry]:
    """The latest ledger entries of a user."""
    _visible(actor, user_id)
    query = select(CreditEntry).where(CreditEntry.user_id == user_id)
    return list(db.session.scalars(query.order_by(CreditEntry.created_at.desc(), CreditEntry.id.desc()).limit(most)))
