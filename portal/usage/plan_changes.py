"""Giving a user another plan: now, with the next usage day, or with the next month.

A coming plan is kept beside the present one and holds from its instant on: no job is needed for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm.exc import StaleDataError

from portal.accounts.days import resets_at
from portal.accounts.lifecycle import target_of
from portal.accounts.models import State, User
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, check_case, job_actor, needs, outranks
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.text import gettext
from portal.usage.ledger import turn_month
from portal.usage.models import Plan
from portal.usage.months import next_month_at
from portal.usage.plans import plan_of

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from portal.core.actor import Actor

STARTS = ("now", "next_day", "next_month")
BATCH = 500


@dataclass(frozen=True, slots=True)
class PlanChange:
    """A change of plan: to which one, and from when it holds."""

    plan: Plan
    starts_at: datetime


@needs(Capability.USER_WRITE, Capability.PLAN_CHANGE, case=True)
def change_plan(actor: Actor, user_id: UUID, plan_id: UUID, *, starts: str = "now") -> PlanChange:
    """Give a user another plan: from the next call on ("now"), from the user's next usage day on ("next_day"), or
    from the first midnight of the user's next month on ("next_month").

    It takes the place of a change that was still to come; the present plan takes that one back. The credits that this
    month was given stay; a plan that gives more adds the difference. Raises NotFound, Invalid, Forbidden.
    """
    user = limited_user(actor, user_id)
    plan = db.session.get(Plan, plan_id)
    if plan is None:
        raise Invalid({"plan": gettext("There is no such plan.")})
    now, before = clock.now(), plan_of(user)
    starts_at = starts_of(user, starts)
    if plan.id == before.id:
        if coming_change(user) is not None:
            take_back_plan(actor, user_id)
        return PlanChange(plan, now)
    facts = {"from": before.name, "to": plan.name, "starts_at": starts_at.isoformat(timespec="seconds")}
    record(actor, events.PLAN_CHANGED, target_of(user), facts)
    if starts == "now":
        turn_month(user)  # a month that nobody has used yet is still the earlier plan's to give
        user.plan_id, user.next_plan_id, user.next_plan_from = plan.id, None, None
        turn_month(user)
    else:
        user.plan_id, user.next_plan_id, user.next_plan_from = before.id, plan.id, starts_at
    return PlanChange(plan, starts_at)


def starts_of(user: User, starts: str) -> datetime:
    """The instant that `now`, `next_day` or `next_month` means for the user, as a local time where it is to come.

    Raises Invalid.
    """
    if starts not in STARTS:
        raise Invalid({"starts": gettext("A plan starts now, with the next day, or with the next month.")})
    now = clock.now()
    if starts == "now":
        return now
    return resets_at(user.calendar, now) if starts == "next_day" else next_month_at(user.calendar, now)


def coming_change(user: User) -> PlanChange | None:
    """The change of plan that is still to come."""
    if user.next_plan_id is None or user.next_plan_from is None or user.next_plan_from <= clock.now():
        return None
    plan = db.session.get(Plan, user.next_plan_id)
    return None if plan is None else PlanChange(plan, user.next_plan_from)


@needs(Capability.USER_WRITE, Capability.PLAN_CHANGE, case=True)
def take_back_plan(actor: Actor, user_id: UUID) -> None:
    """Take back a change of plan that is still to come. Raises NotFound, Forbidden, Conflict."""
    user = limited_user(actor, user_id)
    coming = coming_change(user)
    if coming is None:
        raise Conflict(gettext("No other plan is to come for this user."))
    facts = {"plan": coming.plan.name, "starts_at": coming.starts_at.isoformat(timespec="seconds")}
    record(actor, events.PLAN_TAKEN_BACK, target_of(user), facts)
    user.next_plan_id = user.next_plan_from = None


@needs(Capability.USER_WRITE, Capability.PLAN_CHANGE, Capability.LIMIT_BOOST)
def limited_user(actor: Actor, user_id: UUID) -> User:
    """A living user whose plan and limits the actor may change. Raises NotFound, Forbidden, CaseNeeded."""
    check_case(actor, user_id)
    user = db.session.get(User, user_id)
    if user is None or user.state == State.DELETED:
        raise NotFound
    if not outranks(actor, user.rank):
        raise Forbidden
    return user


def begin_due_plans() -> int:
    """Make plans that have begun the present ones, for lists to show. Answers how many.

    Book-keeping only: spending reads the coming plan from its instant on.
    """
    begun, after = 0, None
    while True:
        query = select(User.account_id).where(User.next_plan_from <= clock.now()).order_by(User.account_id).limit(BATCH)
        if after is not None:
            query = query.where(User.account_id > after)
        due = list(db.session.scalars(query))
        if not due:
            return begun
        after = due[-1]
        begun += sum(_begin_plan(user_id) for user_id in due)


def _begin_plan(user_id: UUID) -> bool:
    try:
        with transaction():
            user = db.session.get_one(User, user_id, populate_existing=True)
            before = db.session.get(Plan, user.plan_id) if user.plan_id else None
            plan, starts_at = plan_of(user), user.next_plan_from
            if starts_at is None or plan.id != user.next_plan_id:
                return False  # it was taken back meanwhile
            facts = {
                "from": before.name if before else None,
                "to": plan.name,
                "starts_at": starts_at.isoformat(timespec="seconds"),
            }
            record(job_actor("begin_plans"), events.PLAN_BEGUN, target_of(user), facts)
            user.plan_id, user.next_plan_id, user.next_plan_from = plan.id, None, None
            turn_month(user)
    except StaleDataError:  # somebody changed the account just now: the next round looks again
        return False
    return True
