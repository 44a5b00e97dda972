"""A test mail to one's own address, to see whether mail leaves. Slowed as all mail is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.accounts.directory import own_account
from portal.accounts.lifecycle import target_of
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.mail.outbox import write_mail
from portal.signin import throttle

if TYPE_CHECKING:
    from portal.core.actor import Actor


@needs(Capability.SETTING_MANAGE)
def send_test_mail(actor: Actor) -> str:
    """Put a test mail to the actor's own address into the outbox; answers the address. Raises LimitReached."""
    account = own_account(actor)
    throttle.count_try(*throttle.mail_counters(actor.address, str(account.id)))
    values = {"name": account.shown_name, "at": f"{clock.now():%Y-%m-%d %H:%M} UTC"}
    write_mail(account.email or "", "trial", values, language=account.language, account_id=account.id)
    record(actor, events.MAIL_TESTED, target_of(account))
    return account.email or ""
