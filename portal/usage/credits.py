"""Granting credits: the balance and its ledger entry, together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from portal.accounts.lifecycle import target_of
from portal.accounts.models import State, User
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import Invalid, NotFound
from portal.core.ids import new_id
from portal.core.text import gettext
from portal.usage.models import CreditBalance, CreditEntry

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

MOST = 1_000_000


def open_balance(user_id: UUID) -> None:
    """Give a new user an empty balance."""
    db.session.add(CreditBalance(user_id=user_id, plan_credits=0, own_credits=0))


@needs(Capability.CREDIT_WRITE)
def grant_credits(actor: Actor, user_id: UUID, amount: int) -> int:
    """Add own credits (1 to 1,000,000) to a user, with the actor's reason. Answers the balance.

    Raises Invalid, NotFound.
    """
    if not 1 <= amount <= MOST:
        raise Invalid({"amount": gettext("A whole number from 1 to 1,000,000.")})
    if not actor.reason:
        raise Invalid({"reason": gettext("Say why.")})
    user = db.session.get(User, user_id)
    if user is None or user.state == State.DELETED:
        raise NotFound
    balance = db.session.execute(
        update(CreditBalance)
        .where(CreditBalance.user_id == user_id)
        .values(own_credits=CreditBalance.own_credits + amount)
        .returning(CreditBalance.plan_credits + CreditBalance.own_credits)
        .execution_options(synchronize_session=False)
    ).scalar_one()
    db.session.add(
        CreditEntry(
            id=new_id(),
            user_id=user_id,
            kind="grant",
            amount=amount,
            balance=balance,
            reason=actor.reason,
            actor_kind=actor.kind.value,
            actor_name=actor.name[:80],
            created_at=clock.now(),
        )
    )
    record(actor, events.CREDITS_GRANTED, target_of(user), {"amount": amount, "balance": balance})
    return int(balance)
