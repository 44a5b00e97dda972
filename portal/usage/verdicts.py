"""Deciding questions: spend or refuse each, sign or note the decision, keep the answer; all in one transaction."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from portal.core import clock, hot
from portal.core.ids import new_id
from portal.repeats.service import Replay, find_in, keep_in
from portal.usage.decisions import Decision, sign_decision
from portal.usage.rates import release_call, reserve_call
from portal.usage.refusals import asked_facts, refuse_in, standing_facts
from portal.usage.spending import NO_KEY, Spending, check_in, lock_for, look_in, spend_at_once, spend_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.repeats.service import Repeat
    from portal.usage.spending import Outcome, Standing

T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True, gc=False):
    """One question whose asker and budget are known.

    `refused` is a code found before any number was looked at, with its facts. `note` runs in the transaction of a
    success, for what else has to be written then.
    """

    spending: Spending
    refused: str | None = None
    facts: dict[str, Any] | None = None
    address: str | None = None
    note: Callable[[Any, datetime], None] | None = None

    @property
    def spends(self) -> bool:
        """Whether anything would be taken."""
        cost = self.spending.cost
        return self.refused is None and bool(cost.conversations or cost.credits)


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What was decided. `clears_at` (ISO 8601) is when a refusal ends by itself, None when it does not."""

    code: str
    decision_id: str
    standing: Standing | None = None
    clears_at: str | None = None
    retry_after: int | None = None


class Keeping(NamedTuple):
    """The call names itself: keep the answer that `face` makes of the verdicts."""

    repeat: Repeat
    face: Callable[[list[Verdict]], bytes]


def state_refusal(state: str) -> str | None:
    """The code by which an account in this state is refused."""
    if state in {"deleted", "closing"}:
        return "ACCOUNT_DELETED"
    return None if state == "active" else "ACCOUNT_SUSPENDED"


def decide(actor: Actor, asked: Sequence[Asked], keeping: Keeping | None = None) -> list[Verdict] | Replay:
    """Decide each question, in order, in one transaction; or answer what was answered before.

    Raises Stale when something changed since it was read, Mismatch for a key that stands for another call.
    """
    now = clock.now()
    rated = [_rated(one, now) for one in asked]
    try:
        made = _decided(actor, rated, now, keeping)
    except BaseException:
        _release(rated, now)
        raise
    if isinstance(made, Replay):
        _release(rated, now)
        return made
    _release([one for one, verdict in zip(rated, made, strict=True) if verdict.code != "VALID"], now)
    return made


def tell_of_nobody(actor: Actor, answer: T, repeat: Repeat | None, face: Callable[[T], bytes]) -> T | Replay:
    """The answer where nobody is known by what was asked: kept and repeated like any other. Raises Mismatch."""
    if repeat is None:
        return answer
    made = decide(actor, [], Keeping(repeat, lambda _: face(answer)))
    return made if isinstance(made, Replay) else answer


def _decided(
    actor: Actor, rated: Sequence[tuple[Asked, float | None]], now: datetime, keeping: Keeping | None
) -> list[Verdict] | Replay:
    if keeping is None and not any(one.spends or one.refused for one, _ in rated):
        return hot.read_together(lambda raw: [_looked(raw, one, now) for one, _ in rated])

    if keeping is None and len(rated) == 1 and (made := _decided_at_once(*rated[0], now)) is not None:
        return [made]

    def work(raw: Any) -> list[Verdict] | Replay:
        if keeping is not None and (before := find_in(raw, keeping.repeat)) is not None:
            return before
        verdicts: list[Verdict | None] = [None] * len(rated)
        for places in _by_user(rated):
            if len(places) > 1:
                lock_for(raw, [rated[place][0].spending for place in places])
            for place in places:
                one, wait = rated[place]
                verdicts[place] = judge_in(raw, actor, one, wait, now, plainly=len(rated) > 1)
        made = [verdict for verdict in verdicts if verdict is not None]
        if keeping is not None and not keep_in(raw, keeping.repeat, 200, keeping.face(made)):
            raise hot.Again
        return made

    return hot.write(work)


def _decided_at_once(one: Asked, wait: float | None, now: datetime) -> Verdict | None:
    """The verdict on a question that needs no more than to spend conversations, where the database can do that in one
    statement; None where it takes more."""
    if one.refused is not None or wait is not None or one.note is not None or not one.spends:
        return None
    outcome = spend_at_once(one.spending, now)
    return None if outcome is None else Verdict("VALID", _signed(one, outcome, new_id()), outcome.standing)


def _by_user(rated: Sequence[tuple[Asked, float | None]]) -> Iterable[list[int]]:
    """The places of the questions, those of each user together and in their order.

    Users in the order in which all calls lock their rows, so that two never wait for each other.
    """
    if len(rated) == 1:
        return ([0],)
    places: dict[UUID, list[int]] = {}
    for place, (one, _) in enumerate(rated):
        places.setdefault(one.spending.budget.user_id, []).append(place)
    return [places[user_id] for user_id in sorted(places)]


def _rated(one: Asked, now: datetime) -> tuple[Asked, float | None]:
    """The question with the seconds its rate makes it wait; a call that may go on is counted."""
    per_minute = one.spending.budget.rate_per_minute
    if per_minute is None or not one.spends:
        return one, None
    return one, reserve_call(one.spending.budget.user_id, per_minute, now)


def _release(rated: Sequence[tuple[Asked, float | None]], now: datetime) -> None:
    for one, wait in rated:
        if wait is None and one.spends and one.spending.budget.rate_per_minute is not None:
            release_call(one.spending.budget.user_id, now)


def _looked(raw: Any, one: Asked, now: datetime) -> Verdict:
    outcome = look_in(raw, one.spending, now)
    return Verdict("VALID", _signed(one, outcome, new_id()), outcome.standing)


def judge_in(
    raw: Any, actor: Actor, one: Asked, wait: float | None, now: datetime, *, plainly: bool = False
) -> Verdict:
    """The verdict on one question, written down on this connection. `plainly`: as in `spend_in`."""
    if one.refused is not None:
        return _refused(raw, actor, one, one.refused, one.facts or {}, now)
    if wait is not None:
        check_in(raw, one.spending, now)
        standing = look_in(raw, one.spending, now).standing
        per_minute = one.spending.budget.rate_per_minute
        # The next whole second, so that a call at the told time passes.
        told = (now + timedelta(seconds=wait + 1)).replace(microsecond=0)
        clears = told.astimezone(standing.resets_at.tzinfo).isoformat()
        numbers = standing_facts("RATE_LIMITED", standing, one.spending, now)
        facts = {**numbers, "rate_per_minute": per_minute, "clears_at": clears}
        return _refused(raw, actor, one, "RATE_LIMITED", facts, now, standing, retry_after=math.ceil(wait))
    if not one.spends:
        return _looked(raw, one, now)
    decision = new_id()
    outcome = spend_in(raw, actor, one.spending, now, decision, plainly=plainly)
    if outcome.refused is not None:
        facts = standing_facts(outcome.refused, outcome.standing, one.spending, now)
        return _refused(raw, actor, one, outcome.refused, facts, now, outcome.standing)
    if one.note is not None:
        one.note(raw, now)
    return Verdict("VALID", _signed(one, outcome, decision), outcome.standing)


def _signed(one: Asked, outcome: Outcome, decision: UUID) -> str:
    spending = one.spending
    return sign_decision(
        Decision(
            id=decision,
            user_id=spending.budget.user_id,
            key_id=spending.key.id if spending.key else NO_KEY,
            day=outcome.day,
            conversations=spending.cost.conversations,
            plan_credits=outcome.plan_part,
            own_credits=outcome.own_part,
            model=spending.model,
        )
    )


def _refused(
    raw: Any,
    actor: Actor,
    one: Asked,
    code: str,
    facts: dict[str, Any],
    now: datetime,
    standing: Standing | None = None,
    *,
    retry_after: int | None = None,
) -> Verdict:
    spending = one.spending
    told = {**asked_facts(spending.cost, spending.model, one.address), **facts}
    key_id = spending.key.id if spending.key else NO_KEY
    made = refuse_in(raw, actor, spending.budget, code, told, now, key_id=key_id)
    return Verdict(code, str(made), standing, facts.get("clears_at"), retry_after)
