"""Taking a decision back, once: its units return to its day, its credits to where they came from.

Plan credits of a month that is over are gone, so those do not come back. A lost lease is refunded by its own id: what
was never reported returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from portal.accounts.days import month_of, usage_day
from portal.accounts.lifecycle import target_of
from portal.accounts.models import User
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db, raw_day, raw_id, raw_instant, writing_connection
from portal.core.errors import Conflict, NotFound
from portal.core.ids import parse_id
from portal.core.text import gettext
from portal.usage.budget import budget_of
from portal.usage.decisions import Decision, read_decision
from portal.usage.ledger import By, by, give, lock_balance, runner
from portal.usage.models import Lease

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.usage.budget import Budget

LONGEST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Refunded:
    """What came back, and to whom."""

    user_id: UUID
    conversations: int
    credits: int


@needs(Capability.USAGE_CONSUME, Capability.CREDIT_WRITE)
def refund(actor: Actor, decision_id: str) -> Refunded:
    """Take back a decision, or a lost lease by its id. Raises NotFound, Conflict when it was taken back already."""
    decision = read_decision(decision_id)
    if decision is None:
        lease_id = parse_id(decision_id)
        if lease_id is None:
            raise NotFound(gettext("There is no such decision."))
        return refund_lease(actor, lease_id)
    if not decision.conversations and not decision.plan_credits and not decision.own_credits:
        raise Conflict(gettext("Nothing was spent by this decision."))
    if decision.made_at < clock.now() - LONGEST:
        raise Conflict(gettext("A decision can be refunded for 30 days."))
    return _take_back(actor, decision)


@needs(Capability.USAGE_CONSUME, Capability.CREDIT_WRITE)
def refund_lease(actor: Actor, lease_id: UUID, *, of_user: UUID | None = None) -> Refunded:
    """Give back what a lost lease never reported; with `of_user` only where it is that user's.

    Raises NotFound, Conflict.
    """
    writing_connection()
    lease = db.session.get(Lease, lease_id, populate_existing=True, with_for_update=True)
    if lease is None or of_user not in {None, lease.user_id}:
        raise NotFound(gettext("There is no such decision."))
    lost = lease.state == "lost" or (lease.state == "open" and lease.ends_at <= clock.now())
    if not lost:
        raise Conflict(gettext("Only what a lost lease never reported can be refunded."))
    if lease.created_at < clock.now() - LONGEST:
        raise Conflict(gettext("A decision can be refunded for 30 days."))
    lease.state = "lost"  # also where the clock is put back: no report may return the same units again
    db.session.flush()
    own_used = min(lease.used_credits, lease.plan_credits)
    unreported = Decision(
        id=lease.id,
        user_id=lease.user_id,
        key_id=lease.key_id,
        day=lease.day,
        conversations=lease.conversations - lease.used_conversations,
        plan_credits=lease.plan_credits - own_used,
        own_credits=lease.own_credits - (lease.used_credits - own_used),
        model=lease.model,
    )
    if not unreported.conversations and not unreported.plan_credits and not unreported.own_credits:
        raise Conflict(gettext("Only what a lost lease never reported can be refunded."))
    return _take_back(actor, unreported)


def _take_back(actor: Actor, decision: Decision) -> Refunded:
    user = db.session.get(User, decision.user_id)
    if user is None:
        raise NotFound(gettext("There is no such decision."))
    now, raw = clock.now(), writing_connection()
    credits = give_back_in(raw, budget_of(user), decision, by(actor), now)
    noted = runner(raw)(
        "NOTE_REFUND",
        decision_id=raw_id(decision.id),
        user_id=raw_id(user.id),
        day=raw_day(decision.day),
        units=decision.conversations,
        credits=credits,
        reason=actor.reason or "",
        actor_kind=actor.kind.value,
        actor_name=actor.name[:80],
        at=raw_instant(now),
    )
    if noted is None:  # the frame keeps nothing of what was given back above
        raise Conflict(gettext("This decision was refunded already."))
    db.session.expire_all()
    facts = {"conversations": decision.conversations, "credits": credits}
    record(actor, events.USAGE_REFUNDED, target_of(user), facts)
    return Refunded(user.id, decision.conversations, credits)


def give_back_in(raw: Any, budget: Budget, decision: Decision, who: By, now: datetime) -> int:
    """Return units to their day and credits to their balances, on this connection. Answers the credits returned."""
    run = runner(
        raw,
        user_id=raw_id(budget.user_id),
        key_id=raw_id(decision.key_id),
        model=decision.model,
        day=raw_day(decision.day),
        month=raw_day(month_of(decision.day)),
        units=decision.conversations,
    )
    credits = 0
    if decision.plan_credits or decision.own_credits:
        month = month_of(usage_day(budget.calendar, now))
        balance = lock_balance(run, month, budget.credits_per_month, now)
        plan_part = decision.plan_credits if month_of(decision.day) == balance.plan_month else 0
        credits = plan_part + decision.own_credits
        parts = (plan_part, decision.own_credits)
        give(run, balance, parts, who, now, kind="refund", decision=raw_id(decision.id))
    if decision.conversations:
        row = run("GIVE_BACK_DAY")
        if row is not None and row[1] is not None:
            run("GIVE_BACK_MONTH")
    if decision.conversations or credits:
        run("GIVE_BACK_DETAIL", credits=credits)
    return credits
