"""Showing a passkey: to sign in with it alone, as the second factor, and to prove oneself again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.accounts.directory import own_account
from portal.accounts.models import Account
from portal.core.access import Capability, needs, open_to_all
from portal.core.database import db
from portal.core.errors import Invalid, NotFound
from portal.signin import throttle
from portal.signin.devices import UNKNOWN, Browser
from portal.signin.entry import Entered, admit, check_may_enter, enter_with_factor, is_shut, refusal
from portal.signin.factors import factors_of
from portal.signin.passkeys import Challenge, challenge_known, check_given, check_passkey, not_accepted
from portal.signin.reauth import counters_of, note_proof, wrong_answer
from portal.signin.steps import Step, end_of, look_at_step

if TYPE_CHECKING:
    from portal.core.actor import Actor


@open_to_all("anybody may try; how many challenges an address gets is bounded")
def begin_entering(actor: Actor) -> Challenge:
    """A challenge for whatever passkey the browser holds for this site. Raises LimitReached."""
    throttle.take_try(throttle.counter_of("challenge", actor.address))
    return challenge_known(None)


@open_to_all("whoever holds a passkey; a wrong one counts as a wrong password does")
def sign_in_with_passkey(actor: Actor, secret: str | None, answer: str, browser: Browser = UNKNOWN) -> Entered:
    """Sign in with the answer to the challenge of `begin_entering`: whose passkey it is tells who comes.

    It is two factors in one, as its authenticator has recognised its owner. Passkeys that are unknown and those of
    accounts that nothing opens answer alike. Raises Invalid, LimitReached.
    """
    check_given(answer)
    counters = (throttle.counter_of("address", actor.address),)
    throttle.check_throttle(*counters)
    try:
        passkey = check_passkey(secret, answer, account=None)
    except Invalid as error:
        raise refusal(actor, error.words, "passkey", None, counters, *error.trace) from error
    account = db.session.get(Account, passkey.account_id)
    if account is None or is_shut(account):
        raise refusal(actor, not_accepted(), "passkey", None, counters)
    check_may_enter(actor, account)
    entered = admit(actor, account, browser, method="passkey", proven=True)
    if not isinstance(entered, Entered):
        raise TypeError("a passkey is a second factor already")
    return entered


@open_to_all("whoever gave the right password in this browser")
def begin_factor(actor: Actor, step_secret: str | None) -> Challenge:
    """A challenge for the passkeys of whoever owes the second factor in this browser. Raises StepOver, LimitReached."""
    throttle.take_try(throttle.counter_of("challenge", actor.address))
    _, account, _ = look_at_step(step_secret, Step.FACTOR)
    return challenge_known(account)


@open_to_all("whoever gave the right password in this browser; five wrong answers end that")
def enter_with_passkey(
    actor: Actor, step_secret: str | None, secret: str | None, answer: str, browser: Browser = UNKNOWN
) -> Entered:
    """Go on with the answer to the challenge of `begin_factor`. Raises Invalid for a wrong one, StepOver."""

    def show(account: Account) -> str | None:
        try:
            check_passkey(secret, answer, account=account)
        except Invalid:
            return None
        return "passkey"

    look_at_step(step_secret, Step.FACTOR)
    check_given(answer)
    try:
        return enter_with_factor(actor, step_secret, browser, show)
    except Invalid as refused:
        refused.trace = (*refused.trace, end_of(secret, Step.PASSKEY))  # a wrong answer ends its challenge too
        raise


@needs(Capability.OWN_SECURITY)
def begin_proving(actor: Actor) -> Challenge:
    """A challenge for one's own passkeys, to prove oneself again. Raises NotFound without any, LimitReached."""
    throttle.take_try(throttle.counter_of("challenge", actor.address))
    account = own_account(actor)
    if not factors_of(account.id).passkeys:
        raise NotFound
    return challenge_known(account)


@needs(Capability.OWN_SECURITY)
def prove_with_passkey(actor: Actor, secret: str | None, answer: str) -> str:
    """Show again who one is with the answer to the challenge of `begin_proving`; answers the session's new secret.

    Raises Invalid for a wrong one, of which the fifth ends the session as a wrong password does; LimitReached.
    """
    check_given(answer)
    account = own_account(actor)
    counters = counters_of(actor)
    throttle.check_throttle(*counters)
    try:
        check_passkey(secret, answer, account=account)
    except Invalid as error:
        told = (throttle.failure_of(*counters), wrong_answer(actor, account))
        raise Invalid({}, error.words, trace=(*error.trace, *told)) from error
    return note_proof(actor, method="passkey", factor=True)
