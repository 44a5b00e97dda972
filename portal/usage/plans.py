"""Plans: listing, making, changing, and giving one to a user."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.accounts.lifecycle import target_of as account_target
from portal.accounts.models import State, User
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock, settings
from portal.core.access import Capability, needs, outranks
from portal.core.database import db
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.core.text import Shown, gettext
from portal.usage.models import Plan

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What a plan grants. None means unlimited."""

    name: str
    daily_limit: int | None
    credits_per_month: int = 0
    rate_per_minute: int | None = None
    key_count: int = 5
    retention_days: int = 365
    prices: dict[str, int] = field(default_factory=dict)


def _checked(terms: PlanTerms) -> PlanTerms:
    wrong: dict[str, Shown] = {}
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,39}", terms.name):
        wrong["name"] = gettext("2 to 40 small letters, digits and hyphens, beginning with a letter.")
    bounds = gettext("A whole number from 0 to 1,000,000.")
    for name in ("daily_limit", "rate_per_minute"):
        value = getattr(terms, name)
        if value is not None and not 0 <= value <= MOST:
            wrong[name] = bounds
    for name in ("credits_per_month", "key_count", "retention_days"):
        if not 0 <= getattr(terms, name) <= MOST:
            wrong[name] = bounds
    if wrong:
        raise Invalid(wrong)
    return terms


@needs(Capability.PLAN_READ, Capability.USER_FIND)
def list_plans(actor: Actor) -> list[Plan]:
    """All plans, by name."""
    return list(db.session.scalars(select(Plan).order_by(Plan.name).limit(200)))


@needs(Capability.PLAN_READ)
def plan_record(actor: Actor, plan_id: UUID) -> Plan:
    """One plan. Raises NotFound."""
    plan = db.session.get(Plan, plan_id)
    if plan is None:
        raise NotFound
    return plan


@needs(Capability.PLAN_WRITE)
def create_plan(actor: Actor, terms: PlanTerms) -> Plan:
    """A new plan. Raises Invalid."""
    _checked(terms)
    if plan_named(terms.name) is not None:
        raise Invalid({"name": gettext("Another plan has this name.")})
    plan = Plan(id=new_id(), created_at=clock.now(), **_columns(terms))
    db.session.add(plan)
    record(actor, events.PLAN_CREATED, Target("plan", plan.id, plan.name), {"name": plan.name})
    return plan


@needs(Capability.PLAN_WRITE)
def edit_plan(actor: Actor, plan_id: UUID, terms: PlanTerms, *, version: int) -> Plan:
    """Change what a plan grants; it is felt by the next spending, since limits are read and never copied."""
    plan = db.session.get(Plan, plan_id)
    if plan is None:
        raise NotFound
    if plan.version != version:
        raise Conflict(gettext("Someone else changed this plan while you were editing it."))
    _checked(terms)
    same_name = plan_named(terms.name)
    if same_name is not None and same_name.id != plan.id:
        raise Invalid({"name": gettext("Another plan has this name.")})
    changed = sorted(name for name, value in _columns(terms).items() if getattr(plan, name) != value)
    if changed:
        for name in changed:
            setattr(plan, name, getattr(terms, name))
        record(actor, events.PLAN_EDITED, Target("plan", plan.id, plan.name), {"changed": changed})
    return plan


def _columns(terms: PlanTerms) -> dict[str, object]:
    return {name: getattr(terms, name) for name in PlanTerms.__dataclass_fields__}


@needs(Capability.USER_WRITE)
def change_plan(actor: Actor, user_id: UUID, plan_id: UUID) -> User:
    """Give a user another plan, from the next spending on. Raises NotFound, Invalid, Forbidden."""
    user = db.session.get(User, user_id)
    if user is None or user.state == State.DELETED:
        raise NotFound
    if not outranks(actor, user.rank):
        raise Forbidden
    plan = db.session.get(Plan, plan_id)
    if plan is None:
        raise Invalid({"plan": gettext("There is no such plan.")})
    if user.plan_id != plan.id:
        before = db.session.get(Plan, user.plan_id) if user.plan_id else None
        facts = {"from": before.name if before else None, "to": plan.name}
        record(actor, events.PLAN_CHANGED, account_target(user), facts)
        user.plan_id = plan.id
    return user


def plan_named(name: str) -> Plan | None:
    """The plan of this name."""
    return db.session.scalars(select(Plan).where(Plan.name == name)).first()


def default_plan() -> Plan:
    """The plan of new users. Raises NotFound when DEFAULT_PLAN names none."""
    plan = plan_named(settings.current().default_plan)
    if plan is None:
        raise NotFound(gettext("The default plan does not exist."))
    return plan


def plan_of(user: User) -> Plan:
    """The user's plan."""
    plan = db.session.get(Plan, user.plan_id) if user.plan_id else None
    return plan if plan is not None else default_plan()
