"""Changing one's own password, or setting the first where another way in made the account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.accounts.directory import own_account
from portal.accounts.lifecycle import target_of
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import record
from portal.core.access import Capability, needs, recently
from portal.core.errors import Invalid
from portal.core.text import gettext
from portal.signin import passwords, throttle
from portal.signin.hashing import place
from portal.signin.sessions import keep_only_session

if TYPE_CHECKING:
    from portal.accounts.models import Account
    from portal.core.actor import Actor


@needs(Capability.OWN_SECURITY)
@recently()
def change_password(actor: Actor, current: str, password: str) -> str | None:
    """Put another password in the place of the `current` one; where there is none so far, none is asked for.

    Every other session and token is dead; answers the new secret of this session. The owner is told by mail. Raises
    Invalid, LimitReached, ReauthNeeded.
    """
    account = own_account(actor)
    stored = account.password_hash
    passwords.check_policy(password, kind=account.kind, username=account.username, email=account.email or "")
    counter = throttle.counter_of("reauth", str(account.id))
    with place():  # before anything is counted: whoever finds none has not tried
        if stored is not None:
            throttle.take_try(counter)
            if not passwords.check_password(current, stored):
                raise _wrong(actor, account)
        hashed = passwords.hash_password(password)
    account.password_hash = hashed
    throttle.forget_failures(counter)
    record(actor, events.PASSWORD_CHANGED, target_of(account))
    secret = keep_only_session(actor, account)
    words = gettext("Your password was changed.") if stored else gettext("A password was set for your account.")
    notify(account, words)
    return secret


def _wrong(actor: Actor, account: Account) -> Invalid:
    words = gettext("That is not the password of your account.")
    trace = (lambda: record(actor, events.REAUTH_FAILED, target_of(account), result="refused"),)
    return Invalid({"current": words}, trace=trace)
