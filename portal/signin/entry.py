"""Signing in: whoever has shown who they are is let in here, and nowhere else, whatever way they came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

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
from portal.signin.devices import UNKNOWN, Browser, is_known, note_device
from portal.signin.hashing import place
from portal.signin.networks import network_allows
from portal.signin.sessions import actor_of, begin_session
from portal.signin.steps import Step, begin_step, count_answer, failure_at, look_at_step, take_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.core.actor import Actor
    from portal.core.text import Shown

NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Entered:
    """A sign-in that worked: the secret for the session's cookie, whose it is, the secret that tells the browser."""

    secret: str
    account: Account
    device_secret: str


@dataclass(frozen=True, slots=True)
class FactorOwed:
    """The first half worked: the secret of the step that wants the second factor. It opens no page."""

    secret: str
    account: Account


@open_to_all("anybody may try; guessing is throttled")
def sign_in(actor: Actor, typed_name: str, password: str, browser: Browser = UNKNOWN) -> Entered | FactorOwed:
    """Sign in with a name and a password. Raises Invalid, LimitReached; see `check_password_of`."""
    return admit(actor, check_password_of(actor, typed_name, password, browser), browser, method="password")


def check_password_of(actor: Actor, typed_name: str, password: str, browser: Browser) -> Account:
    """The account that this name and password open, which may be entered. Unknown names, wrong passwords, locked
    accounts and those without a password answer and take the same.

    A suspension is told only after the right password. Raises Invalid, LimitReached.
    """
    with place():  # before anything is counted: whoever finds none has not tried
        account = account_named(typed_name)
        own, *shared = _counters(actor, typed_name, account, browser)
        throttle.take_try(own, *shared)
        right = passwords.check_password(password, account.password_hash if account else None)
        upgraded = _upgraded(account, password) if right and account and not is_shut(account) else None
    if not right or account is None or is_shut(account):
        raise refusal(actor, gettext("The name or the password is not right."), "wrong", account, ())
    try:
        check_may_enter(actor, account)
    except Invalid as refused:
        refused.trace = (*refused.trace, lambda: throttle.forget_failures(own))
        raise
    if upgraded:
        account.password_hash = upgraded
    throttle.settle(own, *shared)
    return account


def _counters(actor: Actor, typed_name: str, account: Account | None, browser: Browser) -> tuple[str, ...]:
    """What a try counts for: the browser alone where it is known to the account, or else the name and everybody."""
    # Asked of nobody too, so that a name that is not there takes as long.
    if is_known(account.id if account else NOBODY, browser) and account is not None:
        return (throttle.counter_of("known", f"{account.id} {browser.secret}"),)
    return (
        throttle.counter_of("name", typed_name),
        throttle.counter_of("address", actor.address),
        throttle.counter_of("all-sign-ins", ""),
    )


def _upgraded(account: Account, password: str) -> str | None:
    """Another hash to store for this password, where the one of before is of an older sort."""
    if account.password_hash and passwords.needs_upgrade(account.password_hash):
        return passwords.hash_password(password)
    return None


def is_shut(account: Account) -> bool:
    """Whether nothing opens the account: as good as none to whoever comes to sign in."""
    return account.state in {State.INVITED, State.DELETED} or account.locked_at is not None


def check_may_enter(actor: Actor, account: Account) -> None:
    """The checks of every way in, for whoever has shown already who they are. Raises Invalid, telling why not."""
    address = (throttle.counter_of("address", actor.address),)
    if is_shut(account):
        raise refusal(actor, gettext("This account cannot be opened."), "shut", account, address)
    if account.state == State.SUSPENDED:
        words = gettext("This account is suspended. Ask support for help.")
        raise refusal(actor, words, "suspended", account, address)
    if settings.current().confirm_email and account.email_verified_at is None and account.kind == "user":
        words = gettext("Confirm your e-mail address first: open the link in the mail we sent you.")
        raise refusal(actor, words, "unconfirmed", account, address)


def admit(
    actor: Actor, account: Account, browser: Browser, *, method: str, proven: bool = False
) -> Entered | FactorOwed:
    """Let in whoever has shown who they are, once `check_may_enter` has passed; or ask for the second factor first.

    `proven` says that what they showed is a second factor already.
    """
    if account.has_factor and not proven:
        # Of whoever has the password and not the factor this is the only trace, if they try none.
        record(actor, events.SIGN_IN_HALFWAY, target_of(account), {"method": method})
        return FactorOwed(begin_step(Step.FACTOR, account, {"method": method}), account)
    return _enter(actor, account, browser, method)


@open_to_all("whoever gave the right password in this browser; five wrong answers end that")
def enter_with_factor(
    actor: Actor, step_secret: str | None, browser: Browser, show: Callable[[Account], str | None]
) -> Entered:
    """The second half: `show` looks at what was given as the factor and answers its name, or None when it is wrong.

    Raises Invalid for a wrong one, StepOver when the first half is over, spent or void.
    """
    account, method = check_factor_of(actor, step_secret, Step.FACTOR, browser, show)
    return _enter(actor, account, browser, method)


def check_factor_of(
    actor: Actor, step_secret: str | None, step: Step, browser: Browser, show: Callable[[Account], str | None]
) -> tuple[Account, str]:
    """Whose first half this step is, and by which factor they have shown the second; the step is spent.

    Raises Invalid, StepOver, LimitReached.
    """
    _, account, _ = look_at_step(step_secret, step)
    if account is None:
        raise TypeError("a factor is owed by an account")
    # In a browser that is known, strangers who know the password keep nobody from the second half.
    known = browser.secret if is_known(account.id, browser) else ""
    own, shared = throttle.counter_of("factor", f"{account.id} {known}"), throttle.counter_of("address", actor.address)
    throttle.take_try(own, shared)
    count_answer(step_secret)
    check_may_enter(actor, account)
    method = show(account)
    if method is None:
        words = gettext("That is not right, or was used before.")
        raise refusal(actor, words, "factor", account, (), failure_at(step_secret))
    take_step(step_secret, step)
    throttle.settle(own, shared)
    return account, method


@open_to_all("whoever registered in this very request; the account is the one that `register` answered")
def enter_registered(actor: Actor, account: Account, browser: Browser = UNKNOWN) -> Entered:
    """Begin the first session of a fresh account, without asking for the password that was just typed."""
    return _enter(actor, account, browser, "registration")


def _enter(actor: Actor, account: Account, browser: Browser, method: str) -> Entered:
    check_network(actor, account)
    secret = begin_session(account, address=actor.address, device=browser.device, method=method)
    kept = note_device(account, browser, actor.address)
    own = actor_of(account, address=actor.address, request_id=actor.request_id)
    record(own, events.SIGNED_IN, target_of(account), {"method": method})
    return Entered(secret, account, kept)


def check_network(actor: Actor, account: Account) -> None:
    """The last check: told only after all that was owed, for which accounts are bound to networks is nobody else's
    business. Raises Invalid."""
    if not network_allows(account.kind, actor.address):
        words = gettext(
            "This account may not be used from your network, %(address)s.", address=actor.address or gettext("unknown")
        )
        raise refusal(actor, words, "network", account, (throttle.counter_of("address", actor.address),))


def refusal(
    actor: Actor,
    words: Shown,
    why: str,
    account: Account | None,
    counters: tuple[str, ...],
    *traces: Callable[[], None],
) -> Invalid:
    """The error that refuses a sign-in, with its trace: an audit entry, and one more failure of each counter."""
    # What was typed as the name may be a password typed in the wrong box, so it is not written down.
    target = target_of(account) if account else Target("account")
    unnamed = msgspec.structs.replace(actor, reason=None)

    def trace() -> None:
        record(unnamed, events.SIGN_IN_FAILED, target, {"why": why}, result="refused")

    return Invalid({}, words, trace=(trace, throttle.failure_of(*counters), *traces))
