"""Asking for the mail again that confirms an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.accounts.directory import account_named
from portal.accounts.lifecycle import mail_confirmation
from portal.accounts.links import Purpose, make_link
from portal.accounts.models import State
from portal.core.access import open_to_all
from portal.mail.outbox import write_mail
from portal.mail.rendering import site_link
from portal.signin import throttle
from portal.signin.vain import in_vain

if TYPE_CHECKING:
    from portal.core.actor import Actor


@open_to_all("anybody may ask for the mail again; the answer is always the same")
def ask_for_confirmation(actor: Actor, typed_name: str) -> None:
    """Mail a new link where such an account waits for one; the link of before dies. Tells nothing either way.

    Raises LimitReached.
    """
    throttle.count_try(*throttle.mail_counters(actor.address, typed_name))
    account = account_named(typed_name)
    if account is not None and account.state == State.ACTIVE and account.email and account.email_verified_at is None:
        mail_confirmation(account)
    else:
        with in_vain():
            write_mail(typed_name, "confirm", {"name": typed_name, "link": site_link(make_link(Purpose.CONFIRM, None))})
