"""Leases: a block of units spent in advance, handed out by an integration, settled by a report of what was used.

Everything granted counts as used from the start, so a lost client costs at most what it never reported, whether or not
any job runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec
from sqlalchemy import update

from portal.accounts.days import month_of, usage_day
from portal.accounts.models import User
from portal.core import clock, hot
from portal.core.access import Capability, needs
from portal.core.database import db, id_of_raw, instant_of_raw, raw_day, raw_id, raw_instant, writing_connection
from portal.core.errors import Conflict, Invalid, NotFound, Unavailable
from portal.core.ids import new_id
from portal.core.text import gettext
from portal.repeats.service import Replay, find_in, keep_in
from portal.usage.budget import Budget, budget_of, day_of_raw, find_budget
from portal.usage.decisions import Decision
from portal.usage.ledger import by, lock_balance, runner
from portal.usage.models import Lease
from portal.usage.rates import release_call, reserve_call
from portal.usage.refunds import give_back_in
from portal.usage.spending import NO_KEY, Cost, Spending, Stale, spend_in
from portal.usage.verdicts import Asked, Verdict, judge_in, state_refusal, tell_of_nobody

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.repeats.service import Repeat
    from portal.usage.consuming import Wanted

SHORTEST_S, LONGEST_S = 5, 300
MOST = 1_000_000
MOST_TRIES = 4


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of asking for a lease. Granted may be less than was asked; nothing granted has no id."""

    verdict: Verdict
    budget: Budget | None
    lease_id: UUID | None = None
    conversations: int = 0
    credits: int = 0
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """How a lease stands after a report."""

    lease_id: UUID
    state: str
    used: tuple[int, int]
    returned: tuple[int, int]
    expires_at: datetime | None


def check_terms(conversations: int, credits: int, ttl_s: int) -> None:
    """Refuse a lease of nothing, of too much, or for too short or long. Raises Invalid."""
    wrong = {}
    for name, value in (("/conversations", conversations), ("/credits", credits)):
        if not 0 <= value <= MOST:
            wrong[name] = gettext("A whole number from 0 to 1,000,000.")
    if not wrong and not conversations and not credits:
        wrong["/conversations"] = gettext("A lease is of at least one unit.")
    if not SHORTEST_S <= ttl_s <= LONGEST_S:
        wrong["/ttl_s"] = gettext("Seconds, from 5 to 300.")
    if wrong:
        raise Invalid(wrong)


@needs(Capability.USAGE_LEASE)
def lease_for_user(
    actor: Actor, wanted: Wanted, ttl_s: int, *, repeat: Repeat | None = None, face: Callable[[Taken], bytes]
) -> Taken | Replay:
    """A lease on a user's budget without a key. Raises Invalid."""
    cost = Cost(wanted.conversations, wanted.credits or 0)
    check_terms(cost.conversations, cost.credits, ttl_s)
    for _ in range(MOST_TRIES):
        budget = find_budget(user_id=wanted.user_id, name=wanted.username)
        if budget is None:
            return tell_of_nobody(actor, Taken(Verdict("USER_UNKNOWN", str(new_id())), None), repeat, face)
        asked = Asked(Spending(budget, cost, model=wanted.model), refused=state_refusal(budget.state))
        try:
            return take_lease(actor, asked, ttl_s, repeat, face)
        except Stale:
            continue
    raise Unavailable(retry_after=1)


def take_lease(
    actor: Actor, asked: Asked, ttl_s: int, repeat: Repeat | None, face: Callable[[Taken], bytes]
) -> Taken | Replay:
    """Spend as much of what is asked as there is, and open a lease on it. Called by the verbs that checked who asks.

    Raises Stale.
    """
    now, budget = clock.now(), asked.spending.budget
    rated = budget.rate_per_minute is not None and asked.refused is None
    wait = reserve_call(budget.user_id, budget.rate_per_minute or 0, now) if rated else None

    def work(raw: Any) -> Taken | Replay:
        if repeat is not None and (before := find_in(raw, repeat)) is not None:
            return before
        taken = _take_in(raw, actor, asked, wait, ttl_s, now)
        if repeat is not None and not keep_in(raw, repeat, 200, face(taken)):
            raise hot.Again
        return taken

    made: Taken | Replay | None = None
    try:
        made = hot.write(work)
    finally:
        if rated and wait is None and not (isinstance(made, Taken) and made.lease_id):
            release_call(budget.user_id, now)
    return made


def _take_in(raw: Any, actor: Actor, asked: Asked, wait: float | None, ttl_s: int, now: datetime) -> Taken:
    spending = asked.spending
    budget, lease_id = spending.budget, new_id()
    if asked.refused is None and wait is None:
        granted = _grantable(raw, spending, now)
        if _is_enough(spending.cost, granted):
            # Not refused: the rows that could are locked and hold as much.
            outcome = spend_in(raw, actor, msgspec.structs.replace(spending, cost=granted), now, lease_id)
            if asked.note is not None:
                asked.note(raw, now)
            expires_at = now + timedelta(seconds=ttl_s)
            runner(raw)(
                "OPEN_LEASE",
                lease_id=raw_id(lease_id),
                user_id=raw_id(budget.user_id),
                key_id=raw_id(spending.key.id if spending.key else NO_KEY),
                client_id=raw_id(actor.id) if actor.id else None,
                actor_name=actor.name[:80],
                day=raw_day(outcome.day),
                month=raw_day(month_of(outcome.day)),
                model=spending.model,
                units=granted.conversations,
                plan_part=outcome.plan_part,
                own_part=outcome.own_part,
                ttl_s=ttl_s,
                at=raw_instant(now),
                expires_at=raw_instant(expires_at),
                ends_at=raw_instant(expires_at + timedelta(seconds=ttl_s)),
            )
            verdict = Verdict("VALID", str(lease_id), outcome.standing)
            return Taken(verdict, budget, lease_id, granted.conversations, granted.credits, expires_at)
    return Taken(judge_in(raw, actor, asked, wait, now), budget)


def _grantable(raw: Any, spending: Spending, now: datetime) -> Cost:
    """As much of the asked cost as there is, with the rows locked that say so."""
    budget, key, cost = spending.budget, spending.key, spending.cost
    day = usage_day(budget.calendar, now)
    run = runner(
        raw, user_id=raw_id(budget.user_id), day=raw_day(day), key_id=raw_id(key.id if key else NO_KEY), model=""
    )
    conversations, credits = cost.conversations, cost.credits
    if key is not None and key.daily_limit is not None:
        run("LOCK_KEY")
        conversations = min(conversations, max(0, key.daily_limit - int(run("READ_KEY_DAY")[0])))
    if credits:
        credits = min(credits, lock_balance(run, month_of(day), budget.credits_per_month, now).total)
    limit = budget.limit_at(now)
    if conversations and limit is not None:
        run("OPEN_DAY")
        conversations = min(conversations, max(0, limit - int(run("LOCK_DAY")[0])))
    return Cost(conversations, credits)


def _is_enough(asked: Cost, granted: Cost) -> bool:
    """Whether something of each kind that was asked for can be granted."""
    return bool(granted.conversations or not asked.conversations) and bool(granted.credits or not asked.credits)


@needs(Capability.USAGE_LEASE)
def settle_lease(actor: Actor, lease_id: UUID, used: tuple[int, int], *, final: bool = True) -> Settled:
    """Report what was used so far, (conversations, credits); the final report gives the rest back.

    A report that is not final renews the ttl. The same final report again changes nothing.
    Raises NotFound, Invalid for more than was granted or less than was reported, Conflict when the lease has ended.
    """
    now, raw = clock.now(), writing_connection()
    run = runner(raw, lease_id=raw_id(lease_id))
    row = run("LOCK_LEASE")
    if row is None or row[2] is None or id_of_raw(row[2]) != actor.id:
        raise NotFound(gettext("There is no such lease."))
    granted, before = (row[6], row[7] + row[8]), (row[9], row[10])
    state, ttl_s, ends_at = row[12], row[11], instant_of_raw(row[14])
    _check_report(used, before, granted)
    if state == "settled" and final and used == before:
        return Settled(lease_id, state, used, (granted[0] - used[0], granted[1] - used[1]), None)
    if state == "settled":
        raise Conflict(gettext("This lease was settled already."))
    if state != "open" or ends_at is None or now >= ends_at:
        raise Conflict(gettext("This lease has ended; what was not reported in time counts as used."))
    expires_at = now + timedelta(seconds=ttl_s)
    run(
        "REPORT_LEASE",
        used=used[0],
        used_credits=used[1],
        expires_at=row[13] if final else raw_instant(expires_at),
        ends_at=row[14] if final else raw_instant(expires_at + timedelta(seconds=ttl_s)),
        state="settled" if final else "open",
        settled_at=raw_instant(now) if final else None,
    )
    rest = (granted[0] - used[0], granted[1] - used[1])
    if not final:
        return Settled(lease_id, "open", used, (0, 0), expires_at)
    _return_rest(raw, actor, row, lease_id, used, now)
    return Settled(lease_id, "settled", used, rest, None)


def _check_report(used: tuple[int, int], before: tuple[int, int], granted: tuple[int, int]) -> None:
    names = ("/used/conversations", "/used/credits")
    for name, now_used, told, most in zip(names, used, before, granted, strict=True):
        if now_used > most:
            raise Invalid({name: gettext("Only %(most)s were granted.", most=f"{most:,}")})
        if now_used < told:
            raise Invalid({name: gettext("%(told)s were reported already.", told=f"{told:,}")})


def _return_rest(raw: Any, actor: Actor, row: Any, lease_id: UUID, used: tuple[int, int], now: datetime) -> None:
    user = db.session.get_one(User, id_of_raw(row[0]), populate_existing=True)
    plan_used = min(used[1], row[7])
    rest = Decision(
        id=lease_id,
        user_id=user.id,
        key_id=id_of_raw(row[1]),
        day=cast("date", day_of_raw(row[3])),
        conversations=row[6] - used[0],
        plan_credits=row[7] - plan_used,
        own_credits=row[8] - (used[1] - plan_used),
        model=row[5],
    )
    give_back_in(raw, budget_of(user), rest, by(actor, gettext("Unused units of a lease")), now)
    db.session.expire_all()


def end_leases() -> tuple[int, int]:
    """Close leases whose time and grace are over: lost where something was never reported. For a job.

    Answers (closed, of them lost).
    """
    over = (Lease.state == "open", Lease.ends_at <= clock.now())
    all_reported = (Lease.used_conversations == Lease.conversations) & (
        Lease.used_credits == Lease.plan_credits + Lease.own_credits
    )
    settled = db.session.execute(
        update(Lease)
        .where(*over, all_reported)
        .values(state="settled", settled_at=clock.now())
        .returning(Lease.id)
        .execution_options(synchronize_session=False)
    ).all()
    lost = db.session.execute(
        update(Lease).where(*over).values(state="lost").returning(Lease.id).execution_options(synchronize_session=False)
    ).all()
    return len(settled) + len(lost), len(lost)
