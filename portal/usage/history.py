"""How a user stands, and what was used on which day, by which model and with which key: from roll-ups, never logs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, select

from portal.accounts.days import month_of, usage_day
from portal.accounts.models import State, User
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import NotFound
from portal.usage.budget import budget_of
from portal.usage.models import Lease, Refund, UsageDay, UsageDetail, UsageMonth
from portal.usage.refunds import LONGEST
from portal.usage.spending import NO_KEY, Standing, standing_of

if TYPE_CHECKING:
    from portal.core.actor import Actor

MOST_SHARES = 50
LEASES_FOR = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Share:
    """What went to one model or one key within a span. `key_id` None means without a key; `model` "" not named."""

    model: str
    key_id: UUID | None
    used: int
    credits: int


@dataclass(frozen=True, slots=True)
class LostLease:
    """A lease whose client was not heard of again: what it never reported counts as used."""

    id: UUID
    user_id: UUID
    client_name: str
    key_id: UUID | None
    created_at: datetime
    lost_at: datetime
    conversations: int
    credits: int
    used_conversations: int
    used_credits: int
    given_back_at: datetime | None

    @property
    def lost_conversations(self) -> int:
        """Conversations that were never reported."""
        return self.conversations - self.used_conversations

    @property
    def lost_credits(self) -> int:
        """Credits that were never reported."""
        return self.credits - self.used_credits

    @property
    def refundable(self) -> bool:
        """Whether there is something to give back, and still time for it."""
        unreported = self.lost_conversations or self.lost_credits
        return bool(unreported) and self.given_back_at is None and self.created_at >= clock.now() - LONGEST


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def usage_owner(actor: Actor, user_id: UUID) -> User:
    """The user whose usage this is: the actor, or anyone for the desk and the console. Raises NotFound."""
    user = db.session.get(User, user_id)
    if user is None or user.state == State.DELETED:
        raise NotFound
    if actor.id != user_id and not actor.may(Capability.USER_FIND):
        raise NotFound
    return user


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def standing(actor: Actor, user_id: UUID) -> Standing:
    """Today's use, limit, reset and credits of a user. Raises NotFound."""
    return standing_of(budget_of(usage_owner(actor, user_id)))


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def day_held_until(actor: Actor, user_id: UUID) -> datetime | None:
    """Till when the present usage day goes on after a change of time zone; None where the zone's own days hold."""
    held = usage_owner(actor, user_id).held_until
    return held if held is not None and held > clock.now() else None


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def last_days(actor: Actor, user_id: UUID, *, days: int = 30) -> list[tuple[date, int]]:
    """(day, conversations used) for each of the last `days` usage days, oldest first, zeros included."""
    user = usage_owner(actor, user_id)
    today = usage_day(user.calendar, clock.now())
    first = today - timedelta(days=days - 1)
    query = select(UsageDay.day, UsageDay.total).where(UsageDay.user_id == user_id, UsageDay.day >= first)
    used = {row.day: row.total for row in db.session.execute(query)}
    return [(day, used.get(day, 0)) for day in (first + timedelta(days=n) for n in range(days))]


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def last_months(actor: Actor, user_id: UUID, *, months: int = 12) -> list[tuple[date, int]]:
    """(first day of the month, conversations used) for each of the last months, oldest first.

    Closed days come from their folded month, days not yet closed are added to it.
    """
    user = usage_owner(actor, user_id)
    wanted = [month_of(usage_day(user.calendar, clock.now()))]
    while len(wanted) < months:
        wanted.append(month_of(wanted[-1] - timedelta(days=1)))
    folded = select(UsageMonth.month, UsageMonth.used).where(
        UsageMonth.user_id == user_id, UsageMonth.month >= wanted[-1]
    )
    used = {row.month: row.used for row in db.session.execute(folded)}
    still_open = select(UsageDay.day, UsageDay.total).where(
        UsageDay.user_id == user_id, UsageDay.day >= wanted[-1], UsageDay.closed_at.is_(None)
    )
    for row in db.session.execute(still_open):
        used[month_of(row.day)] = used.get(month_of(row.day), 0) + row.total
    return [(month, used.get(month, 0)) for month in reversed(wanted)]


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def used_by_model(actor: Actor, user_id: UUID, *, days: int = 30) -> list[Share]:
    """What went to each model within the last usage days, most used first."""
    rows = _shares(actor, user_id, days, UsageDetail.model)
    return [Share(row[0], None, int(row.used), int(row.credits)) for row in rows]


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def used_by_key(actor: Actor, user_id: UUID, *, days: int = 30) -> list[Share]:
    """What went through each key within the last usage days, most used first."""
    rows = _shares(actor, user_id, days, UsageDetail.key_id)
    return [Share("", None if row[0] == NO_KEY else row[0], int(row.used), int(row.credits)) for row in rows]


def _shares(actor: Actor, user_id: UUID, days: int, column: Any) -> list[Any]:
    today = usage_day(usage_owner(actor, user_id).calendar, clock.now())
    used, spent = func.sum(UsageDetail.used), func.sum(UsageDetail.credits)
    query = (
        select(column, used.label("used"), spent.label("credits"))
        .where(UsageDetail.user_id == user_id, UsageDetail.day > today - timedelta(days=days))
        .group_by(column)
        .having((used > 0) | (spent > 0))
        .order_by(used.desc(), spent.desc(), column)
        .limit(MOST_SHARES)
    )
    return list(db.session.execute(query))


# Nothing of such a lease can be lost.
ALL_REPORTED = (Lease.used_conversations == Lease.conversations) & (
    Lease.used_credits == Lease.plan_credits + Lease.own_credits
)


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def lost_leases(actor: Actor, user_id: UUID, *, most: int = 20) -> list[LostLease]:
    """The leases of the last 90 days that were lost, newest first, and which were given back."""
    usage_owner(actor, user_id)
    now = clock.now()
    query = (
        select(Lease, Refund.created_at)
        .outerjoin(Refund, Refund.decision_id == Lease.id)
        .where(Lease.user_id == user_id, Lease.created_at >= now - LEASES_FOR)
        # Over is over, whether or not the job that marks it has come by.
        .where((Lease.state == "lost") | ((Lease.state == "open") & (Lease.ends_at <= now) & ~ALL_REPORTED))
        .order_by(Lease.created_at.desc(), Lease.id.desc())
        .limit(most)
    )
    return [
        LostLease(
            id=lease.id,
            user_id=lease.user_id,
            client_name=lease.client_name,
            key_id=None if lease.key_id == NO_KEY else lease.key_id,
            created_at=lease.created_at,
            lost_at=lease.settled_at or lease.ends_at,
            conversations=lease.conversations,
            credits=lease.plan_credits + lease.own_credits,
            used_conversations=lease.used_conversations,
            used_credits=lease.used_credits,
            given_back_at=given_back_at,
        )
        for lease, given_back_at in db.session.execute(query)
    ]
