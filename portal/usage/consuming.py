"""Spending for a user without a key: by id or username."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.core.access import Capability, needs
from portal.core.errors import Unavailable
from portal.core.ids import new_id
from portal.repeats.service import Replay
from portal.usage.budget import Budget, find_budget
from portal.usage.spending import Cost, Spending, Stale
from portal.usage.verdicts import Asked, Keeping, Verdict, decide, state_refusal, tell_of_nobody

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.repeats.service import Repeat

MOST_TRIES = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose units, and how many. `credits` None means the plan's price for the model."""

    user_id: UUID | None
    username: str | None
    conversations: int = 1
    credits: int | None = None
    model: str = ""


@dataclass(frozen=True, slots=True)
class Consumed:
    """The verdict, and whom it is about (None when nobody is known by that name)."""

    verdict: Verdict
    budget: Budget | None


@needs(Capability.USAGE_CONSUME)
def consume(
    actor: Actor, wanted: Wanted, *, repeat: Repeat | None = None, face: Callable[[Consumed], bytes]
) -> Consumed | Replay:
    """Spend for a user, or say by a code why not. `face` makes the answer that a repeat is given again."""
    for _ in range(MOST_TRIES):
        budget = find_budget(user_id=wanted.user_id, name=wanted.username)
        if budget is None:
            return tell_of_nobody(actor, Consumed(Verdict("USER_UNKNOWN", str(new_id())), None), repeat, face)
        price = budget.prices.get(wanted.model, 0)
        cost = Cost(wanted.conversations, price if wanted.credits is None else wanted.credits)
        asked = Asked(Spending(budget, cost, model=wanted.model), refused=state_refusal(budget.state))
        keeping = _keeping(budget, repeat, face)
        try:
            made = decide(actor, [asked], keeping)
        except Stale:
            continue
        return made if isinstance(made, Replay) else Consumed(made[0], budget)
    raise Unavailable(retry_after=1)


def _keeping(budget: Budget, repeat: Repeat | None, face: Callable[[Consumed], bytes]) -> Keeping | None:
    if repeat is None:
        return None
    return Keeping(repeat, lambda verdicts: face(Consumed(verdicts[0], budget)))
