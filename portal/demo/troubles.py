"""What goes wrong in a demo: calls refused at the daily limit, and now and then a lease that nobody settled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from portal.accounts.days import Calendar, month_of, resets_at
from portal.core.ids import new_id
from portal.demo.usage import instant_in
from portal.usage.decisions import refusal_id
from portal.usage.models import Lease, Refusal

if TYPE_CHECKING:
    from random import Random
    from uuid import UUID

    from portal.demo.rows import Rows
    from portal.demo.usage import UsedDay

KEPT = timedelta(days=30)
GATEWAY = "Demo gateway"
ADDRESSES = ("192.0.2.14", "198.51.100.30", "203.0.113.77", "2001:db8::17")
LOSES = 0.004
TTL_S = 60


@dataclass(frozen=True, slots=True)
class Sufferer:
    """Whose calls were refused: user, key, zone, plan and daily limit."""

    user_id: UUID
    key_id: UUID
    zone: str
    plan: str
    limit: int | None


def add_troubles(chance: Random, who: Sufferer, days: list[UsedDay], now: datetime, rows: Rows) -> None:
    """Refusals on the days that were used up, and a lost lease on a few of the others, within the last 30 days."""
    for day in days:
        at = instant_in(who.zone, day.day, 0.9 + 0.1 * chance.random(), now)
        if now - at > KEPT:
            continue
        if who.limit and day.used >= who.limit:
            _add_refusal(chance, who, day.used, at, rows)
        elif day.used > 10 and chance.random() < LOSES:
            _add_lost_lease(chance, who, day, at, rows)


def _add_refusal(chance: Random, who: Sufferer, used: int, at: datetime, rows: Rows) -> None:
    turn = resets_at(Calendar(who.zone), at).isoformat()
    facts: dict[str, Any] = {
        "asked": {"conversations": 1, "credits": 0},
        "limit": who.limit,
        "used": used,
        "remaining": 0,
        "resets_at": turn,
        "clears_at": turn,
        "credits": 0,
        "address": chance.choice(ADDRESSES),
        "plan": who.plan,
    }
    rows.add(
        Refusal,
        id=refusal_id(who.user_id, who.key_id, "DAILY_LIMIT_REACHED", at),
        user_id=who.user_id,
        key_id=who.key_id,
        code="DAILY_LIMIT_REACHED",
        client_name=GATEWAY,
        count=chance.randint(1, 30),
        first_at=at,
        last_at=at,
        first_facts=facts,
        last_facts=facts,
    )


def _add_lost_lease(chance: Random, who: Sufferer, day: UsedDay, at: datetime, rows: Rows) -> None:
    granted = min(10, day.used)
    rows.add(
        Lease,
        id=new_id(),
        user_id=who.user_id,
        key_id=who.key_id,
        client_id=None,
        client_name=GATEWAY,
        day=day.day,
        month=month_of(day.day),
        model=next(iter(day.by_model)),
        conversations=granted,
        plan_credits=0,
        own_credits=0,
        used_conversations=chance.randrange(granted),
        used_credits=0,
        ttl_s=TTL_S,
        state="lost",
        created_at=at - timedelta(seconds=3 * TTL_S),
        expires_at=at - timedelta(seconds=2 * TTL_S),
        ends_at=at - timedelta(seconds=TTL_S),
        settled_at=None,
    )
