"""Plans: what each grants; listing, making, changing, removing them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.accounts.models import Account, Kind, User
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock, settings
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import Conflict, Invalid, NotFound
from portal.core.ids import new_id, parse_id
from portal.core.pages import PAGE_SIZE, Page, page_of
from portal.core.text import Shown, gettext
from portal.usage.models import Plan
from portal.usage.prices import checked_prices

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What a plan grants. None is no limit; of `retention_days`, LOG_RETENTION_DAYS. `prices` are credits by model."""

    name: str
    daily_limit: int | None
    credits_per_month: int = 0
    rate_per_minute: int | None = None
    key_count: int = 5
    retention_days: int | None = None
    prices: dict[str, int] = field(default_factory=dict)


def _checked(terms: PlanTerms) -> dict[str, object]:
    """The terms as columns. Raises Invalid at every field that is wrong."""
    wrong: dict[str, Shown] = {}
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,39}", terms.name):
        wrong["name"] = gettext("2 to 40 small letters, digits and hyphens, beginning with a letter.")
    bounds = gettext("A whole number from 0 to 1,000,000.")
    for name in ("daily_limit", "rate_per_minute", "retention_days"):
        if getattr(terms, name) is not None and not _is_term(getattr(terms, name)):
            wrong[name] = bounds
    for name in ("credits_per_month", "key_count"):
        if not _is_term(getattr(terms, name)):
            wrong[name] = bounds
    prices: dict[str, int] = {}
    try:
        prices = checked_prices(terms.prices)
    except Invalid as error:
        wrong |= error.fields
    if wrong:
        raise Invalid(wrong)
    return {**{name: getattr(terms, name) for name in PlanTerms.__dataclass_fields__}, "prices": prices}


def _is_term(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST


def terms_of(plan: Plan) -> PlanTerms:
    """What a plan grants now."""
    return PlanTerms(**{name: getattr(plan, name) for name in PlanTerms.__dataclass_fields__})


@needs(Capability.PLAN_READ, Capability.USER_FIND)
def list_plans(actor: Actor) -> list[Plan]:
    """All plans, by name."""
    return list(db.session.scalars(select(Plan).order_by(Plan.name).limit(200)))


@needs(Capability.PLAN_READ, Capability.PLAN_CHANGE)
def plans_page(actor: Actor, cursor: str | None = None, *, size: int = PAGE_SIZE) -> Page[Plan]:
    """One page of plans, by name. Raises Malformed."""
    return page_of(select(Plan), [Plan.name, Plan.id], cursor, purpose="plans", size=size)


@needs(Capability.PLAN_READ, Capability.PLAN_WRITE)
def plan_record(actor: Actor, plan_id: UUID) -> Plan:
    """One plan. Raises NotFound."""
    return _found(plan_id)


@needs(Capability.PLAN_WRITE)
def create_plan(actor: Actor, terms: PlanTerms) -> Plan:
    """A new plan. Raises Invalid."""
    columns = _checked(terms)
    if plan_named(terms.name) is not None:
        raise Invalid({"name": gettext("Another plan has this name.")})
    plan = Plan(id=new_id(), created_at=clock.now(), **columns)
    db.session.add(plan)
    record(actor, events.PLAN_CREATED, _target(plan), {"name": plan.name})
    db.session.flush()
    return plan


@needs(Capability.PLAN_WRITE)
def edit_plan(actor: Actor, plan_id: UUID, terms: PlanTerms, *, version: int) -> Plan:
    """Change what a plan grants; it is felt by the next spending, since limits are read and never copied.

    Raises NotFound, Conflict, Invalid.
    """
    plan = _found(plan_id)
    if plan.version != version:
        raise Conflict(gettext("Someone else changed this plan while you were editing it."))
    columns = _checked(terms)
    same_name = plan_named(terms.name)
    if same_name is not None and same_name.id != plan.id:
        raise Invalid({"name": gettext("Another plan has this name.")})
    if terms.name != plan.name and _is_default(plan):
        raise Invalid({"name": gettext("New users get the plan of this name (DEFAULT_PLAN), so it keeps it.")})
    changed = sorted(name for name, value in columns.items() if getattr(plan, name) != value)
    if changed:
        for name in changed:
            setattr(plan, name, columns[name])
        record(actor, events.PLAN_EDITED, _target(plan), {"changed": changed})
        db.session.flush()  # the version that is answered is the new one
    return plan


@needs(Capability.PLAN_WRITE)
def delete_plan(actor: Actor, plan_id: UUID) -> None:
    """Remove a plan that nobody has and nobody is about to get. Raises NotFound, Conflict."""
    plan = _found(plan_id)
    if _is_default(plan):
        raise Conflict(gettext("New users get this plan (DEFAULT_PLAN), so it stays."))
    taken = Conflict(gettext("Somebody has this plan or is about to get it; deleted users count until their purge."))
    if _is_held(plan.id):
        raise taken
    record(actor, events.PLAN_DELETED, _target(plan), {"name": plan.name})
    db.session.delete(plan)
    try:
        db.session.flush()
    except IntegrityError:  # it was given to somebody between our looking and our writing
        raise taken from None


def _found(plan_id: UUID) -> Plan:
    plan = db.session.get(Plan, plan_id)
    if plan is None:
        raise NotFound
    return plan


def _is_held(plan_id: UUID) -> bool:
    """Whether anybody has the plan now or next."""
    present = select(Account.id).where(Account.kind == Kind.USER.value, Account.plan_id == plan_id).limit(1)
    coming = select(User.account_id).where(User.next_plan_id == plan_id).limit(1)
    return any(db.session.scalar(query) is not None for query in (present, coming))


def _is_default(plan: Plan) -> bool:
    return plan.name == settings.current().default_plan


def _target(plan: Plan) -> Target:
    return Target("plan", plan.id, plan.name)


def plan_named(name: str) -> Plan | None:
    """The plan of this name."""
    return db.session.scalars(select(Plan).where(Plan.name == name)).first()


def plan_chosen(said: str) -> Plan:
    """The plan of this name or id, to give to somebody. Raises Invalid at "plan"."""
    plan = None
    if (whole := parse_id(said)) is not None:
        plan = db.session.get(Plan, whole)
    elif "\0" not in said:  # PostgreSQL takes no NUL
        plan = plan_named(said)
    if plan is None:
        raise Invalid({"plan": gettext("There is no such plan.")})
    return plan


def default_plan() -> Plan:
    """The plan of new users. Raises NotFound when DEFAULT_PLAN names none."""
    plan = plan_named(settings.current().default_plan)
    if plan is None:
        raise NotFound(gettext("The default plan does not exist."))
    return plan


def plan_of(user: User) -> Plan:
    """The plan that holds for the user now: a coming one from its instant on, whether or not any job has run."""
    due = user.next_plan_from is not None and user.next_plan_from <= clock.now()
    plan_id = user.next_plan_id if due and user.next_plan_id else user.plan_id
    plan = db.session.get(Plan, plan_id) if plan_id else None
    return plan if plan is not None else default_plan()
