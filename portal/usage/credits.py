"""Credits as people manage them: granting, adjusting, the ledger page by page, and whether balances agree with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from portal.accounts.days import month_of, usage_day
from portal.accounts.lifecycle import target_of
from portal.accounts.models import State, User
from portal.audit import events
from portal.audit.record import record
from portal.core import clock, settings
from portal.core.access import Capability, check_case, needs, recently
from portal.core.database import db
from portal.core.errors import Invalid, NotFound
from portal.core.pages import PAGE_SIZE, Page, page_of
from portal.core.text import Shown, gettext
from portal.usage.budget import budget_of
from portal.usage.ledger import Balance, as_turned, book
from portal.usage.models import CreditBalance, CreditEntry

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

MOST = 1_000_000
BATCH = 500
MOST_NAMED = 10


def open_balance(user_id: UUID) -> None:
    """Give a new user an empty balance."""
    db.session.add(CreditBalance(user_id=user_id, plan_credits=0, own_credits=0))


@needs(Capability.CREDIT_WRITE, case=True)
@recently(factor=True)
def grant_credits(actor: Actor, user_id: UUID, amount: int) -> int:
    """Add own credits (1 to 1,000,000) to a user, with the actor's reason. Answers the balance.

    Raises Invalid, NotFound.
    """
    _check(actor, gettext("A whole number from 1 to 1,000,000.") if not 1 <= amount <= MOST else None)
    user = _living_user(user_id)
    balance = book(user, "grant", amount, actor=actor)
    record(actor, events.CREDITS_GRANTED, target_of(user), {"amount": amount, "balance": balance})
    return balance


def most_adjusted(actor: Actor) -> int:
    """By how many credits the actor may put a balance right at once: STAFF_CREDIT_CAP without credit.write."""
    return MOST if actor.may(Capability.CREDIT_WRITE) else min(MOST, settings.current().staff_credit_cap)


@needs(Capability.CREDIT_WRITE, Capability.CREDIT_ADJUST, case=True)
@recently(factor=True)
def adjust_credits(actor: Actor, user_id: UUID, amount: int) -> int:
    """Put a balance right by as much as `most_adjusted` allows, up or down, with the actor's reason. Answers the
    balance.

    What is added are own credits; what is taken comes from the plan credits first. Raises Invalid, NotFound,
    CaseNeeded, and Conflict for more than there is.
    """
    check_case(actor, user_id)
    most = most_adjusted(actor)
    wrong = not -most <= amount <= most or amount == 0
    words = gettext("A whole number from -%(most)s to %(most)s, not 0.", most=f"{most:,}")
    _check(actor, words if wrong else None)
    user = _living_user(user_id)
    balance = book(user, "adjust", amount, actor=actor)
    record(actor, events.CREDITS_ADJUSTED, target_of(user), {"amount": amount, "balance": balance})
    return balance


def _check(actor: Actor, wrong_amount: Shown | None) -> None:
    wrong: dict[str, Shown] = {}
    if wrong_amount is not None:
        wrong["amount"] = wrong_amount
    if not actor.reason:
        wrong["reason"] = gettext("Say why.")
    if wrong:
        raise Invalid(wrong)


def _living_user(user_id: UUID) -> User:
    user = db.session.get(User, user_id)
    if user is None or user.state == State.DELETED:
        raise NotFound
    return user


@needs(Capability.OWN_USAGE, Capability.CREDIT_READ)
def balance_of(actor: Actor, user_id: UUID) -> Balance:
    """What a user may draw on in the present month, as the next use will find it. Raises NotFound."""
    user = _seen_user(actor, user_id)
    stored = db.session.get(CreditBalance, user_id, populate_existing=True)
    balance = Balance()
    if stored is not None:
        balance = Balance(stored.plan_credits, stored.own_credits, stored.plan_month, stored.plan_granted)
    month = month_of(usage_day(user.calendar, clock.now()))
    return as_turned(balance, month, budget_of(user).credits_per_month)


@needs(Capability.OWN_USAGE, Capability.CREDIT_READ, Capability.USER_VIEW_AS)
def list_ledger(actor: Actor, user_id: UUID, cursor: str | None = None, *, size: int = PAGE_SIZE) -> Page[CreditEntry]:
    """One page of a user's ledger, newest first. Raises NotFound, Malformed."""
    _seen_user(actor, user_id)
    query = select(CreditEntry).where(CreditEntry.user_id == user_id)
    order = [CreditEntry.created_at.desc(), CreditEntry.id.desc()]
    return page_of(query, order, cursor, purpose=f"ledger-{user_id}", size=size)


@needs(Capability.CREDIT_WRITE, Capability.CREDIT_ADJUST)
def entry_just_made(actor: Actor, user_id: UUID) -> CreditEntry:
    """The entry that the actor has just made in this transaction: it holds the balance, so it is the latest one."""
    query = select(CreditEntry).where(CreditEntry.user_id == user_id, CreditEntry.actor_name == actor.name[:80])
    newest = query.order_by(CreditEntry.created_at.desc(), CreditEntry.id.desc()).limit(1)
    return db.session.scalars(newest.execution_options(populate_existing=True)).one()


@needs(Capability.OWN_USAGE, Capability.USER_FIND, Capability.CREDIT_READ)
def sees_ledger(actor: Actor, user_id: UUID) -> bool:
    """Whether the actor may see the ledger of this user: their own, with the right to any, or while they act for them
    with the right to see a user's own pages.
    """
    shown = actor.on_behalf_of == user_id and actor.may(Capability.USER_VIEW_AS)
    return actor.id == user_id or actor.may(Capability.CREDIT_READ) or shown


def _seen_user(actor: Actor, user_id: UUID) -> User:
    user = _living_user(user_id)
    if actor.id != user_id and not sees_ledger(actor, user_id):
        raise NotFound
    return user


@dataclass(slots=True)
class Drift:
    """How balances differ from the sums of their entries: how many were compared, how many differ, by how much in
    all (never negative), and the first few users as (id, balance, sum of entries).
    """

    checked: int = 0
    count: int = 0
    credits: int = 0
    users: list[tuple[UUID, int, int]] = field(default_factory=list)


def find_drift() -> Drift:
    """Compare every balance with its ledger, a batch at a time, each batch in one statement and so at one instant."""
    drift, after = Drift(), None
    while True:
        some = select(
            CreditBalance.user_id, (CreditBalance.plan_credits + CreditBalance.own_credits).label("balance")
        ).order_by(CreditBalance.user_id)
        if after is not None:
            some = some.where(CreditBalance.user_id > after)
        batch = some.limit(BATCH).subquery()
        booked = func.coalesce(func.sum(CreditEntry.amount), 0)
        rows = db.session.execute(
            select(batch.c.user_id, batch.c.balance, booked.label("booked"))
            .outerjoin(CreditEntry, CreditEntry.user_id == batch.c.user_id)
            .group_by(batch.c.user_id, batch.c.balance)
            .order_by(batch.c.user_id)
        ).all()
        if not rows:
            return drift
        after = rows[-1].user_id
        drift.checked += len(rows)
        for user_id, balance, sum_of_entries in rows:
            if balance != sum_of_entries:
                drift.count += 1
                drift.credits += abs(int(balance) - int(sum_of_entries))
                if len(drift.users) < MOST_NAMED:
                    drift.users.append((user_id, int(balance), int(sum_of_entries)))
