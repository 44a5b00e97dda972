"""Proving oneself again: what a session is asked for before dangerous acts, and what comes of the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from portal.accounts.lifecycle import target_of
from portal.accounts.models import Account
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, check_recent, needs
from portal.core.database import db
from portal.core.errors import Invalid, LimitReached, NotFound, ReauthNeeded, SignInNeeded
from portal.core.text import gettext
from portal.signin import passwords, throttle
from portal.signin.codes import spend_code
from portal.signin.factors import factors_of
from portal.signin.models import FailureCount, SignInSession
from portal.signin.sessions import renew_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from portal.core.actor import Actor

# As many wrong answers end the session: whoever sits there is not its owner, or has forgotten and may reset.
MOST_WRONG = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person is asked for: password and code together, or a passkey in their place, or the outside sign-in.

    `proven` says that the answers count as a second factor, because they hold one or because none is set up.
    """

    password: bool
    code: bool
    passkey: bool
    outside: bool
    proven: bool

    @property
    def typed(self) -> bool:
        """Whether there is anything to type."""
        return self.password or self.code


@needs(Capability.OWN_SECURITY)
def what_to_ask(actor: Actor, *, factor: bool) -> Asked | None:
    """What to ask this person for; None when what they proved lately is enough. `factor` wants the second factor too,
    where one is set up.

    Who gave the password within five minutes is not asked for it again on the way to the second factor.
    """
    if _recent(actor, factor=factor):
        return None
    account = _own(actor)
    has = factors_of(account.id)
    if not (factor and has.any):
        known = account.password_hash is not None
        return Asked(known, code=False, passkey=has.passkeys > 0, outside=not known, proven=not has.any)
    entered = _recent(actor, factor=False)
    known = account.password_hash is not None
    # Without a password the outside sign-in stands in for it, and the code is asked for afterwards.
    return Asked(
        password=known and has.authenticator and not entered,
        code=has.authenticator and (known or entered),
        passkey=has.passkeys > 0,
        outside=not known and has.authenticator and not entered,
        proven=True,
    )


@needs(Capability.OWN_SECURITY)
def prove_again(actor: Actor, *, factor: bool, password: str, code: str = "") -> str | None:
    """Take the answers to what was asked: answers the new secret of the session, None where nothing was to be asked.

    `code` is of the authenticator app, or a recovery code. Raises Invalid for wrong answers, of which the fifth ends
    the session; LimitReached; SignInNeeded when it ended meanwhile.
    """
    asked = what_to_ask(actor, factor=factor)
    if asked is None:
        return None
    if not asked.typed:
        raise Invalid({}, gettext("Choose one of the ways below."))
    account = _own(actor)
    counters = counters_of(actor)
    throttle.take_try(*counters)
    if asked.password and not _is_right(password, account, counters):
        raise _wrong(actor, account, "password")
    method = "password" if asked.password else ""
    if asked.code:
        shown = spend_code(account, code, actor)
        if shown is None:
            raise _wrong(actor, account, "code")
        method = shown
    throttle.give_back(*counters)
    return _noted(actor, account, method, asked.code)


@needs(Capability.OWN_SECURITY)
def note_proof(actor: Actor, *, method: str, factor: bool) -> str:
    """Write down that the person of this session has shown just now who they are; answers its new secret.

    `factor` says that it was by a second factor; a passkey is one. Raises SignInNeeded when the session has ended.
    """
    return _noted(actor, _own(actor), method, factor)


def _noted(actor: Actor, account: Account, method: str, factor: bool) -> str:
    proven = factor or not factors_of(account.id).any
    secret = renew_session(actor, entered=True, proven=proven)
    if secret is None:
        raise SignInNeeded
    if proven:  # less gives no further guesses at the factor
        throttle.forget_failures(*counters_of(actor)[:2])
    record(actor, events.REAUTH_DONE, target_of(account), {"method": method})
    return secret


def counters_of(actor: Actor) -> tuple[str, str, str]:
    """What counts the wrong answers of this session, of this account, from this address."""
    return (
        throttle.counter_of("reauth", str(actor.session_id)),
        throttle.counter_of("reauth", str(actor.id)),
        throttle.counter_of("address", actor.address),
    )


def wrong_answer(actor: Actor, account: Account) -> Callable[[], None]:
    """The trace of a wrong answer, which was counted: the fifth ends the session."""
    session = counters_of(actor)[0]

    def trace() -> None:
        record(actor, events.REAUTH_FAILED, target_of(account), result="refused")
        wrong = db.session.scalar(select(FailureCount.failures).where(FailureCount.name == session)) or 0
        if wrong >= MOST_WRONG:
            db.session.execute(
                update(SignInSession)
                .where(SignInSession.id == actor.session_id, SignInSession.ended_at.is_(None))
                .values(ended_at=clock.now())
                .execution_options(synchronize_session=False)
            )

    return trace


def has_ended(session_id: UUID | None) -> bool:
    """Whether this session was ended since it was read."""
    living = select(SignInSession.id).where(SignInSession.id == session_id, SignInSession.ended_at.is_(None))
    return db.session.scalar(living) is None


def _own(actor: Actor) -> Account:
    account = db.session.get(Account, actor.id)
    if account is None:
        raise NotFound
    return account


def _recent(actor: Actor, *, factor: bool) -> bool:
    try:
        check_recent(actor, factor=factor)
    except ReauthNeeded:
        return False
    return True


def _is_right(password: str, account: Account, counters: tuple[str, ...]) -> bool:
    try:
        return passwords.check_password(password, account.password_hash)
    except LimitReached as busy:
        busy.trace = (lambda: throttle.give_back(*counters),)
        raise


def _wrong(actor: Actor, account: Account, what: str) -> Invalid:
    trace = (wrong_answer(actor, account),)
    if what == "password":
        return Invalid({"password": gettext("That is not the password of your account.")}, trace=trace)
    return Invalid({"code": gettext("This code is not right, or was used before.")}, trace=trace)
