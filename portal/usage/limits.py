"""What holds for one user and where it comes from: plan, coming plan, own limit, boost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.accounts.models import State, User
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import NotFound
from portal.usage.boosts import boost_of
from portal.usage.budget import budget_of
from portal.usage.plan_changes import coming_change
from portal.usage.plans import plan_of

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.usage.boosts import Boost
    from portal.usage.models import Plan
    from portal.usage.plan_changes import PlanChange


@dataclass(frozen=True, slots=True)
class Limits:
    """The present plan, the one to come, the user's own limit and boost, and what they come to. None: no limit."""

    plan: Plan
    coming: PlanChange | None
    override: int | None
    boost: Boost | None
    daily_limit: int | None


@needs(Capability.OWN_USAGE, Capability.USER_FIND)
def limits_of(actor: Actor, user_id: UUID) -> Limits:
    """What holds for a user: the actor, or anyone for the desk and the console. Raises NotFound."""
    user = db.session.get(User, user_id)
    if user is None or user.state == State.DELETED:
        raise NotFound
    if actor.id != user_id and not actor.may(Capability.USER_FIND):
        raise NotFound
    return Limits(
        plan=plan_of(user),
        coming=coming_change(user),
        override=user.daily_limit_override,
        boost=boost_of(user),
        daily_limit=budget_of(user).limit_at(clock.now()),
    )
