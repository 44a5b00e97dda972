"""Signing out from afar: a person's other browsers, or all browsers of an account by whoever manages it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from portal.accounts.lifecycle import check_managed, target_of
from portal.accounts.models import Account, Kind
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs, recently
from portal.core.database import db
from portal.core.errors import Invalid, NotFound
from portal.core.text import gettext
from portal.signin.models import SignInSession, SignInStep
from portal.signin.sessions import lifetimes, living_sessions
from portal.signin.steps import Step
from portal.tokens.families import end_families

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor


KEPT_FOR = timedelta(days=90)
BATCH = 500


@needs(Capability.OWN_SESSIONS)
@recently()
def end_other_sessions(actor: Actor) -> int:
    """End every session of the actor but this one, and sign-ins that are half done. Answers how many were signed in."""
    account = _found(actor.id)
    living = sum(session.id != actor.session_id for session in living_sessions(account))
    end_sessions(account.id, but=actor.session_id)
    record(actor, events.SESSIONS_ENDED, target_of(account))
    notify(account, gettext("All other browsers were signed out of your account."))
    return living


@needs(Capability.USER_WRITE, Capability.SESSION_STOP, Capability.STAFF_MANAGE, Capability.ADMIN_MANAGE)
def managed_account(actor: Actor, account_id: UUID) -> tuple[Account, list[SignInSession]]:
    """An account the actor may sign out, with where it is signed in. Raises NotFound, Forbidden, CaseNeeded."""
    account = _found(account_id)
    check_managed(actor, account, Capability.SESSION_STOP)
    return account, living_sessions(account)


@needs(Capability.USER_WRITE, Capability.SESSION_STOP, Capability.STAFF_MANAGE, Capability.ADMIN_MANAGE, case=True)
def end_sessions_of(actor: Actor, account_id: UUID) -> int:
    """Sign an account out everywhere; it may sign in again. Wants a reason. Answers how many sessions were living.

    Raises NotFound, Forbidden, Invalid.
    """
    account, sessions = managed_account(actor, account_id)
    if not actor.reason:
        raise Invalid({"reason": gettext("Say why.")})
    end_sessions(account.id)
    record(actor, events.SESSIONS_ENDED, target_of(account))
    notify(account, gettext("You were signed out everywhere by whoever runs this site. You can sign in again."))
    return len(sessions)


def end_sessions(account_id: UUID, *, but: UUID | None = None) -> None:
    """End the sessions and tokens of an account, perhaps but one, and what somebody has begun who owes a factor."""
    ending = update(SignInSession).where(SignInSession.account_id == account_id, SignInSession.ended_at.is_(None))
    if but is not None:
        ending = ending.where(SignInSession.id != but)
    db.session.execute(ending.values(ended_at=clock.now()).execution_options(synchronize_session=False))
    end_families(account_id, but=but)
    halves = (Step.FACTOR.value, Step.TOKEN_FACTOR.value)
    half_done = delete(SignInStep).where(SignInStep.account_id == account_id, SignInStep.step.in_(halves))
    db.session.execute(half_done.execution_options(synchronize_session=False))


def forget_sessions() -> int:
    """Delete a batch of sessions that nobody has used for 90 days, ended or not; none that could still be living.

    Answers how many were.
    """
    idle = max(lifetimes(kind)[0] for kind in Kind)
    unused = SignInSession.last_seen_at <= clock.now() - max(KEPT_FOR, idle)
    old = select(SignInSession.id).where(unused).limit(BATCH)
    gone = db.session.execute(
        delete(SignInSession)
        .where(SignInSession.id.in_(old), unused)
        .returning(SignInSession.id)
        .execution_options(synchronize_session=False)
    )
    return len(gone.all())


def _found(account_id: UUID | None) -> Account:
    account = db.session.get(Account, account_id)
    if account is None:
        raise NotFound
    return account
