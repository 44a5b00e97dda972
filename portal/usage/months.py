"""The month of a user: when the next one begins, and the round that turns balances into it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from portal.accounts.days import Calendar, month_of, resets_at, usage_day
from portal.accounts.models import Account, State, User
from portal.core import clock
from portal.core.database import db, transaction
from portal.usage.ledger import turn_month
from portal.usage.models import CreditBalance, Plan

if TYPE_CHECKING:
    from datetime import date, datetime
    from uuid import UUID

BATCH = 500
# So many balances hold the writer at a time: verify waits behind each such part.
PART = 50
# The easternmost zone is so far ahead of UTC.
EASTERNMOST = timedelta(hours=14)


def next_month_at(calendar: Calendar, instant: datetime) -> datetime:
    """The first instant of the user's next month, as a local time: the reset after which the day is in another month.

    Found by walking from reset to reset, so that it is the very instant at which the plan credits turn.
    """
    month = month_of(usage_day(calendar, instant))
    turn = resets_at(calendar, instant)
    while month_of(usage_day(calendar, turn)) == month:
        turn = resets_at(calendar, turn)
    return turn


def turn_months(*, most: int = 200_000) -> int:
    """Turn the balances whose user is in a later month than their plan credits. Answers how many.

    Every balance is turned at its first use anyway; this only makes the ledger tell it in time. Balances for which
    a turn would change nothing, with no plan credits left and none to come, wait for that first use.
    """
    turned, after = 0, None
    while turned < most:
        batch = _behind(after)
        if not batch:
            break
        after, now = batch[-1][0], clock.now()
        behind = [
            user_id for user_id, month, calendar in batch if month is None or month < month_of(usage_day(calendar, now))
        ]
        for start in range(0, len(behind), PART):
            with transaction():
                turned += _turn(behind[start : start + PART])
    return turned


def _turn(user_ids: list[UUID]) -> int:
    users = select(User).where(User.id.in_(user_ids)).execution_options(populate_existing=True)
    return sum(turn_month(user) for user in db.session.scalars(users).all())


def _behind(after: UUID | None) -> list[tuple[UUID, date | None, Calendar]]:
    """The next users by id who may be behind: (id, month of their plan credits, calendar)."""
    latest = month_of((clock.now() + EASTERNMOST).date())
    user = User.__table__.c
    query = (
        select(CreditBalance.user_id, CreditBalance.plan_month, Account.time_zone, user.held_day, user.held_until)
        .join(Account, Account.id == CreditBalance.user_id)
        .join(User.__table__, user.account_id == CreditBalance.user_id)
        .outerjoin(Plan, Plan.id == Account.plan_id)
        .where(
            or_(CreditBalance.plan_month.is_(None), CreditBalance.plan_month < latest),
            or_(CreditBalance.plan_credits > 0, Plan.credits_per_month > 0, user.next_plan_id.is_not(None)),
            Account.state != State.DELETED.value,
        )
        .order_by(CreditBalance.user_id)
        .limit(BATCH)
    )
    if after is not None:
        query = query.where(CreditBalance.user_id > after)
    return [
        (row.user_id, row.plan_month, Calendar(row.time_zone, row.held_day, row.held_until))
        for row in db.session.execute(query)
    ]
