"""Credits: grants and spendings in the order they happened, and the balance they add up to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from portal.demo.usage import instant_in

if TYPE_CHECKING:
    from random import Random

    from portal.demo.usage import UsedDay

GIFTS = (100, 250, 500, 1_000)
REASONS = (
    "compensation for the outage",
    "thanks for the bug report",
    "goodwill after a long wait",
    "workshop participant",
    "early tester",
)
PLAN_REASON = "plan credits of the month"
MOST_SPENDINGS = 6
SHARE_FREE, SHARE_PAYING = 0.06, 0.2


@dataclass(slots=True)
class Change:
    """One ledger entry to be. `day` and `model` say which use a spending belongs to."""

    at: datetime
    kind: str
    amount: int
    reason: str = ""
    balance: int = 0
    day: date | None = None
    model: str = ""
    of_plan: bool = False


@dataclass(slots=True)
class Ledger:
    """All changes of a user, oldest first, and what they come to."""

    changes: list[Change] = field(default_factory=list)
    plan_credits: int = 0
    own_credits: int = 0
    plan_month: date | None = None


def draw_ledger(
    chance: Random, *, monthly: int, zone_name: str, days: list[UsedDay], since: datetime, now: datetime
) -> Ledger:
    """The ledger of a user who gets `monthly` plan credits and used these days."""
    changes = []
    month = now.astimezone(UTC).date().replace(day=1)
    if monthly:
        granted = max(since, datetime(month.year, month.month, 1, tzinfo=UTC))
        changes.append(Change(granted, "grant", monthly, PLAN_REASON, of_plan=True))
    if chance.random() < (SHARE_PAYING if monthly else SHARE_FREE):
        for _ in range(chance.randint(1, 2)):
            at = since + (now - since) * chance.random()
            changes.append(Change(at, "grant", chance.choice(GIFTS), chance.choice(REASONS)))
    if changes:
        for used in chance.sample(days, min(len(days), MOST_SPENDINGS)):
            at = max(since, instant_in(zone_name, used.day, chance.uniform(0.35, 0.9), now))
            model = next(iter(used.by_model))
            changes.append(Change(at, "spend", -chance.randint(1, 25), day=used.day, model=model))
    return _settled(changes, month if monthly else None)


def _settled(changes: list[Change], plan_month: date | None) -> Ledger:
    """Play the changes in order. A spending takes plan credits first; one that nothing covers did not happen."""
    ledger = Ledger(plan_month=plan_month)
    for change in sorted(changes, key=lambda change: change.at):
        if change.of_plan:
            ledger.plan_credits += change.amount
        elif change.kind == "grant":
            ledger.own_credits += change.amount
        elif ledger.plan_credits + ledger.own_credits + change.amount < 0:
            continue
        else:
            from_plan = min(ledger.plan_credits, -change.amount)
            ledger.plan_credits -= from_plan
            ledger.own_credits += change.amount + from_plan
        change.balance = ledger.plan_credits + ledger.own_credits
        ledger.changes.append(change)
    return ledger
