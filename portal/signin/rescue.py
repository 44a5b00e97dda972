"""Help for whoever is shut out: from the operator a link in the hand, from desk and console too an end to waiting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.accounts.lifecycle import check_managed, target_of
from portal.accounts.links import Purpose, make_link
from portal.accounts.models import Account, State
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import record
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import Conflict, NotFound
from portal.core.text import gettext
from portal.mail.rendering import site_link
from portal.signin import throttle

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from portal.core.actor import Actor


@needs(Capability.ACCOUNT_RESCUE)
def hand_out_reset_link(actor: Actor, account_id: UUID) -> str:
    """A link that sets a new password, to be handed over. The second factor stays, and an address that was not
    confirmed stays so. Raises NotFound, Conflict."""
    account = _living(account_id)
    if account.state != State.ACTIVE:
        raise Conflict(gettext("Only an active account can reset its password."))
    link = site_link(make_link(Purpose.RESET, account, {"handed_over": True}))
    record(actor, events.PASSWORD_RESET_STARTED, target_of(account))
    return link


@dataclass(frozen=True, slots=True)
class ShutOut:
    """What keeps somebody from signing in: since when the account is locked, and how many tries went wrong."""

    locked_at: datetime | None
    wrong_passwords: int
    wrong_codes: int


def _counters_of(account: Account) -> tuple[str, str, str]:
    """By username, by e-mail address, by second factor."""
    return (
        throttle.counter_of("name", account.username),
        throttle.counter_of("name", account.email),
        throttle.counter_of("factor", str(account.id)),
    )


@needs(Capability.ACCOUNT_RESCUE, Capability.ACCOUNT_UNLOCK, case=True)
def what_shuts_out(actor: Actor, account_id: UUID) -> ShutOut:
    """What `unlock` would lift. Raises NotFound, Forbidden, CaseNeeded."""
    account = _living(account_id)
    check_managed(actor, account, Capability.ACCOUNT_UNLOCK)
    by_name, by_email, by_factor = (throttle.count_of(counter) for counter in _counters_of(account))
    return ShutOut(account.locked_at, by_name + by_email, by_factor)


@needs(Capability.ACCOUNT_RESCUE, Capability.ACCOUNT_UNLOCK, case=True)
def unlock(actor: Actor, account_id: UUID) -> Account:
    """Forget failed sign-ins and second factors, and lift a lock. Raises NotFound, Forbidden, CaseNeeded."""
    account = _living(account_id)
    check_managed(actor, account, Capability.ACCOUNT_UNLOCK)
    throttle.forget_failures(*_counters_of(account))
    was_locked, account.locked_at = account.locked_at is not None, None
    record(actor, events.ACCOUNT_UNLOCKED, target_of(account))
    if was_locked:
        notify(account, gettext("Your account is open again: the lock was lifted by whoever runs this site."))
    return account


def _living(account_id: UUID) -> Account:
    account = db.session.get(Account, account_id)
    if account is None or account.state == State.DELETED:
        raise NotFound
    return account
