"""The credit ledger: every change of a balance with its entry, in one transaction, plan credits first.

Plan credits belong to a month of the user's zone. At the first use in a new month what is left of them expires and the
plan's credits are granted; when the plan grants more in the middle of a month, the difference is granted at the next
use. What was granted is never taken back. No job is needed for any of it.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy.orm.util import identity_key

from portal.accounts.days import month_of, usage_day
from portal.core import clock
from portal.core.database import db, raw_day, raw_id, raw_instant, writing_connection
from portal.core.errors import Conflict
from portal.core.ids import new_id
from portal.core.text import gettext
from portal.usage import statements
from portal.usage.budget import Budget, budget_of, day_of_raw
from portal.usage.models import CreditBalance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from portal.accounts.models import User
    from portal.core.actor import Actor

    Run = Callable[..., Any]

KINDS = ("grant", "spend", "adjust", "refund", "expire")


class Balance(msgspec.Struct, frozen=True, gc=False):
    """What a user may draw on. `plan_granted` is all that the plan gave in `plan_month`."""

    plan_credits: int = 0
    own_credits: int = 0
    plan_month: date | None = None
    plan_granted: int = 0

    @property
    def total(self) -> int:
        """Both parts."""
        return self.plan_credits + self.own_credits


class By(NamedTuple):
    """Who changed a balance, and why."""

    kind: str
    name: str
    reason: str = ""


def by(actor: Actor, reason: str | None = None) -> By:
    """The actor as an entry names it."""
    return By(actor.kind.value, actor.name[:80], (actor.reason or "") if reason is None else reason)


def runner(raw: Any, **fixed: Any) -> Run:
    """`run(name, **values)`: a hot statement on this connection, answering its first row."""
    execute = raw.execute

    def run(name: str, **values: Any) -> Any:
        cursor = execute(statements.POSTGRES[name], {**fixed, **values} if values else fixed)
        return cursor.fetchone() if cursor.description else None

    def run_placed(name: str, **values: Any) -> Any:
        text, picked = statements.PLACED[name]
        cursor = execute(text, picked({**fixed, **values} if values else fixed))
        return cursor.fetchone() if cursor.description else None

    return run_placed if hasattr(raw, "in_transaction") else run


def balance_of_row(row: Sequence[Any] | None) -> Balance:
    """A balance as read; no row is an empty one."""
    if row is None or row[0] is None:
        return Balance()
    return Balance(row[0], row[1], day_of_raw(row[2]), row[3])


def balance_of_text(text: str | None) -> Balance:
    """A balance as the spending statements tell it; none is an empty one."""
    if text is None:
        return Balance()
    plan, own, granted, month = text.split(" ")
    return Balance(int(plan), int(own), date.fromisoformat(month) if month else None, int(granted))


def as_turned(balance: Balance, month: date, per_month: int) -> Balance:
    """The balance as it is worth in this month: what the turn will make of it."""
    if balance.plan_month is None or balance.plan_month < month:
        return Balance(per_month, balance.own_credits, month, per_month)
    missing = per_month - balance.plan_granted
    if missing > 0:
        return msgspec.structs.replace(balance, plan_credits=balance.plan_credits + missing, plan_granted=per_month)
    return balance


def lock_balance(run: Run, month: date, per_month: int, now: datetime) -> Balance:
    """The balance, locked for this transaction and turned to this month."""
    row = run("LOCK_BALANCE")
    if row is None:
        run("OPEN_BALANCE")
        row = run("LOCK_BALANCE")
    return turn(run, balance_of_row(row), month, per_month, now)


def turn(run: Run, balance: Balance, month: date, per_month: int, now: datetime) -> Balance:
    """Bring a locked balance to this month, with the entries for what expires and what is granted."""
    turned = as_turned(balance, month, per_month)
    if turned == balance:
        return balance
    house = By("job", "month's turn", gettext("Plan credits of %(month)s", month=f"{month:%Y-%m}"))
    granted = turned.plan_credits
    if turned.plan_month == balance.plan_month:
        granted -= balance.plan_credits
    elif balance.plan_credits:
        rest = gettext("Left of the plan credits of %(month)s", month=f"{balance.plan_month or month:%Y-%m}")
        _note(run, "expire", -balance.plan_credits, balance.own_credits, house._replace(reason=rest), now)
    if granted:
        _note(run, "grant", granted, turned.total, house, now)
    _write(run, turned)
    return turned


def take(
    run: Run, balance: Balance, credits: int, who: By, now: datetime, *, kind: str = "spend", decision: Any = None
) -> tuple[Balance, int, int]:
    """Take credits from a locked balance that has them, plan credits first. Answers (balance, plan part, own part)."""
    plan_part = min(credits, balance.plan_credits)
    own_part = credits - plan_part
    left = msgspec.structs.replace(
        balance, plan_credits=balance.plan_credits - plan_part, own_credits=balance.own_credits - own_part
    )
    _write(run, left)
    _note(run, kind, -credits, left.total, who, now, decision)
    return left, plan_part, own_part


def give(
    run: Run,
    balance: Balance,
    parts: tuple[int, int],
    who: By,
    now: datetime,
    *,
    kind: str,
    decision: Any = None,
) -> Balance:
    """Add (plan credits, own credits) to a locked balance."""
    plan_part, own_part = parts
    made = msgspec.structs.replace(
        balance, plan_credits=balance.plan_credits + plan_part, own_credits=balance.own_credits + own_part
    )
    if plan_part + own_part:
        _write(run, made)
        _note(run, kind, plan_part + own_part, made.total, who, now, decision)
    return made


def _write(run: Run, balance: Balance) -> None:
    run(
        "WRITE_BALANCE",
        plan_credits=balance.plan_credits,
        own_credits=balance.own_credits,
        plan_month=raw_day(balance.plan_month) if balance.plan_month else None,
        plan_granted=balance.plan_granted,
    )


def _note(run: Run, kind: str, amount: int, total: int, who: By, now: datetime, decision: Any = None) -> None:
    run(
        "NOTE_CREDITS",
        entry_id=raw_id(new_id()),
        kind=kind,
        amount=amount,
        balance=total,
        reason=who.reason,
        actor_kind=who.kind,
        actor_name=who.name,
        decision_id=decision,
        at=raw_instant(now),
    )


def _locked(budget: Budget) -> tuple[Run, Balance, datetime]:
    now = clock.now()
    run = runner(writing_connection(), user_id=raw_id(budget.user_id))
    month = month_of(usage_day(budget.calendar, now))
    balance = lock_balance(run, month, budget.credits_per_month, now)
    held = db.session.identity_map.get(identity_key(CreditBalance, budget.user_id))
    if held is not None:
        db.session.expire(held)
    return run, balance, now


def book(user: User, kind: str, amount: int, *, actor: Actor, reason: str | None = None) -> int:
    """Add own credits to a user (or take, plan credits first, when negative), in the session's transaction.

    `kind` is one of KINDS; the reason is the actor's unless given. Answers the balance.
    Raises Conflict when there is less than is to be taken.
    """
    run, balance, now = _locked(budget_of(user))
    if amount >= 0:
        return give(run, balance, (0, amount), by(actor, reason), now, kind=kind).total
    if balance.total < -amount:
        raise Conflict(gettext("There are only %(left)s credits to take from.", left=f"{balance.total:,}"))
    return take(run, balance, -amount, by(actor, reason), now, kind=kind)[0].total


def turn_month(user: User) -> bool:
    """Bring the user's balance to the present month, in the session's transaction; whether there was anything to do."""
    before = db.session.get(CreditBalance, user.id, populate_existing=True)
    stood = (before.plan_month, before.plan_granted) if before else None
    _, balance, _ = _locked(budget_of(user))
    return stood != (balance.plan_month, balance.plan_granted)
