"""Signing in with a name and a password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from portal.accounts.directory import account_named
from portal.accounts.lifecycle import target_of
from portal.accounts.models import Account, State
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import settings
from portal.core.access import open_to_all
from portal.core.errors import Invalid
from portal.core.text import gettext
from portal.signin import passwords, throttle
from portal.signin.sessions import actor_of, begin_session

if TYPE_CHECKING:
    from portal.core.actor import Actor


@dataclass(frozen=True, slots=True)
class Entered:
    """A sign-in that worked: the secret for the cookie, and whose it is."""

    secret: str
    account: Account


@open_to_all("anybody may try; guessing is throttled")
def sign_in(actor: Actor, typed_name: str, password: str, *, device: str = "") -> Entered:
    """Begin a session. Unknown names, wrong passwords and accounts without one answer and take the same.

    A suspension is told only after the right password. Raises Invalid, LimitReached.
    """
    counters = (throttle.counter_of("name", typed_name), throttle.counter_of("address", actor.address))
    throttle.check_throttle(*counters)
    account = account_named(typed_name)
    right = passwords.check_password(password, account.password_hash if account else None)
    if not right or account is None or account.state in {State.INVITED, State.DELETED}:
        raise _refusal(actor, gettext("The name or the password is not right."), "wrong", None, counters)
    if account.state != State.ACTIVE:
        words = gettext("This account is suspended. Ask support for help.")
        raise _refusal(actor, words, "suspended", account, counters)
    if settings.current().confirm_email and account.email_verified_at is None and account.kind == "user":
        words = gettext("Confirm your e-mail address first: open the link in the mail we sent you.")
        raise _refusal(actor, words, "unconfirmed", account, counters)
    if account.password_hash and passwords.needs_upgrade(account.password_hash):
        account.password_hash = passwords.hash_password(password)
    throttle.forget_failures(counters[0])
    secret = begin_session(account, address=actor.address, device=device)
    own = actor_of(account, address=actor.address, request_id=actor.request_id)
    record(own, events.SIGNED_IN, target_of(account), {"method": "password"})
    return Entered(secret, account)


@open_to_all("whoever registered in this very request; the account is the one that `register` answered")
def enter_registered(actor: Actor, account: Account, *, device: str = "") -> Entered:
    """Begin the first session of a fresh account, without asking for the password that was just typed."""
    secret = begin_session(account, address=actor.address, device=device)
    own = actor_of(account, address=actor.address, request_id=actor.request_id)
    record(own, events.SIGNED_IN, target_of(account), {"method": "registration"})
    return Entered(secret, account)


def _refusal(actor: Actor, words: str, why: str, account: Account | None, counters: tuple[str, ...]) -> Invalid:
    # What was typed as the name may be a password typed in the wrong box, so it is not written down.
    target = target_of(account) if account else Target("account")
    unnamed = msgspec.structs.replace(actor, reason=None)

    def trace() -> None:
        record(unnamed, events.SIGN_IN_FAILED, target, {"why": why}, result="refused")

    counted = throttle.failure_of(*counters) if why == "wrong" else throttle.failure_of(counters[1])
    return Invalid({}, words, trace=(trace, counted))
