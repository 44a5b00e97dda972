"""Signing out from afar: a person's other browsers, or all browsers of an account by whoever manages it."""

from __future__ import annotations

from dataclasses import dataclass
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
from portal.tokens.families import end_families, living_families

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor


KEPT_FOR = timedelta(days=90)
BATCH = 500


@dataclass(frozen=True, slots=True)
class SignedIn:
    """In how many browsers an account is signed in, and how many programs hold tokens of it."""

    browsers: int
    programs: int


def signed_in(account: Account, *, but: UUID | None = None) -> SignedIn:
    """Where an account is signed in, perhaps but for one place."""
    browsers, programs = living_sessions(account), living_families(account)
    return SignedIn(sum(one.id != but for one in browsers), sum(one.id != but for one in programs))


@needs(Capability.OWN_SESSIONS)
@recently()
def end_other_sessions(actor: Actor) -> SignedIn:
    """End every session and token of the actor but this one's, and sign-ins that are half done. Answers how many."""
    account = _found(actor.id)
    living = signed_in(account, but=actor.session_id)
    end_sessions(account.id, but=actor.session_id)
    record(actor, events.SESSIONS_ENDED, target_of(account))
    notify(account, gettext("All other browsers and programs were signed out of your account."))
    return living


@needs(Capability.USER_WRITE, Capability.SESSION_STOP, Capability.STAFF_MANAGE, Capability.ADMIN_MANAGE)
def managed_account(actor: Actor, account_id: UUID) -> tuple[Account, list[SignInSession]]:
    """An account the actor may sign out, with where it is signed in. Raises NotFound, Forbidden, CaseNeeded."""
    account = _found(account_id)
    check_managed(actor, account, Capability.SESSION_STOP)
    return account, living_sessions(account)


@needs(Capability.USER_WRITE, Capability.SESSION_STOP, Capability.STAFF_MANAGE, Capability.ADMIN_MANAGE, case=True)
def end_sessions_of(actor: Actor, account_id: UUID) -> SignedIn:
    """Sign an account out everywhere; it may sign in again. Wants a reason. Answers where it was signed in.

    Raises NotFound, Forbidden, Invalid.
    """
    account, _ = managed_account(actor, account_id)
    if not actor.reason:
        raise Invalid({"reason": gettext("Say why.")})
    living = signed_in(account)
    end_sessions(account.id)
    record(actor, events.SESSIONS_ENDED, target_of(account))
    notify(account, gettext("You were signed out everywhere by whoever runs this site. You can sign in again."))
    return living


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
