"""Writing refusals down: one row per user, key, code and minute, so that a refused key in a loop fills nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from portal.core.database import raw_id, raw_instant
from portal.usage.decisions import refusal_id
from portal.usage.ledger import runner
from portal.usage.months import next_month_at
from portal.usage.spending import NO_KEY

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.usage.budget import Budget
    from portal.usage.spending import Cost, Spending, Standing


def refuse_in(
    raw: Any, actor: Actor, budget: Budget, code: str, facts: dict[str, Any], now: datetime, *, key_id: UUID = NO_KEY
) -> UUID:
    """Note a refusal inside the transaction of this raw connection; answers the id that opens it."""
    made = refusal_id(budget.user_id, key_id, code, now)
    runner(raw)(
        "NOTE_REFUSAL",
        refusal_id=raw_id(made),
        user_id=raw_id(budget.user_id),
        key_id=raw_id(key_id),
        code=code,
        actor_name=actor.name[:80],
        at=raw_instant(now),
        facts=orjson.dumps({**facts, "plan": budget.plan}).decode(),
    )
    return made


def asked_facts(cost: Cost, model: str, address: str | None) -> dict[str, Any]:
    """What was asked for, as a refusal keeps it."""
    facts: dict[str, Any] = {"asked": {"conversations": cost.conversations, "credits": cost.credits}}
    if model:
        facts["model"] = model
    if address:
        facts["address"] = address[:45]
    return facts


def standing_facts(code: str, standing: Standing, spending: Spending, now: datetime) -> dict[str, Any]:
    """The numbers of a refusal by limit, key limit, rate or credits, and when it clears."""
    facts: dict[str, Any] = {
        "limit": standing.limit,
        "used": standing.used,
        "remaining": standing.remaining,
        "resets_at": standing.resets_at.isoformat(),
        "credits": standing.credits,
        "clears_at": clears_at(code, standing, spending, now),
    }
    if standing.key_limit is not None:
        facts |= {"key_limit": standing.key_limit, "key_used": standing.key_used}
    return facts


def clears_at(code: str, standing: Standing, spending: Spending, now: datetime) -> str | None:
    """When a refusal ends by itself (ISO 8601, local): with the next day, or with the next month's plan credits.

    None where waiting does not help, as for a cost above the whole limit.
    """
    cost, budget = spending.cost, spending.budget
    if code == "CREDITS_EXHAUSTED" and cost.credits <= budget.credits_per_month:
        return next_month_at(budget.calendar, now).isoformat()
    most = {"DAILY_LIMIT_REACHED": standing.limit, "KEY_LIMIT_REACHED": standing.key_limit}.get(code)
    return standing.resets_at.isoformat() if most is not None and cost.conversations <= most else None
