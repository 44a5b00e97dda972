"""The second half of signing in with a code: of the authenticator app or a recovery code, told apart by their shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.core.access import open_to_all
from portal.signin.authenticator import use_code
from portal.signin.entry import enter_with_factor
from portal.signin.factors import Factors, factors_of
from portal.signin.recovery import canonical_code, use_recovery_code
from portal.signin.steps import Step, look_at_step, take_step

if TYPE_CHECKING:
    from portal.accounts.models import Account
    from portal.core.actor import Actor
    from portal.signin.devices import Browser
    from portal.signin.entry import Entered


def owed_factors(step_secret: str | None) -> Factors:
    """What the account has that this browser began to sign in to. Raises StepOver."""
    found, _, _ = look_at_step(step_secret, Step.FACTOR)
    if found.account_id is None:
        raise TypeError("a factor is owed by an account")
    return factors_of(found.account_id)


def spend_code(account: Account, typed: str, by: Actor) -> str | None:
    """Use a code up and answer what it was of, in words; None when it is not right or was used before."""
    if canonical_code(typed):
        right = use_recovery_code(account, typed, address=by.address, request_id=by.request_id)
        return "recovery code" if right else None
    return "authenticator app" if use_code(account, typed) else None


@open_to_all("whoever gave the right password in this browser; five wrong codes end that")
def enter_with_code(actor: Actor, step_secret: str | None, typed: str, browser: Browser) -> Entered:
    """Go on with a code. Raises Invalid for a wrong one, StepOver when the first half is over."""
    return enter_with_factor(actor, step_secret, browser, lambda account: spend_code(account, typed, actor))


@open_to_all("whoever gave the right password in this browser may think better of it")
def give_up(actor: Actor, step_secret: str | None) -> None:
    """Drop the first half, so that signing in begins anew. Raises StepOver."""
    take_step(step_secret, Step.FACTOR)
