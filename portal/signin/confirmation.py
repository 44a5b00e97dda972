"""Asking for the mail again that confirms an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.accounts.directory import account_named
from portal.accounts.lifecycle import check_outranked, mail_confirmation, target_of
from portal.accounts.links import Purpose, make_link
from portal.accounts.models import Account, State, User
from portal.audit import events
from portal.audit.record import record
from portal.core.access import Capability, needs, open_to_all
from portal.core.database import db
from portal.core.errors import Conflict, NotFound
from portal.core.text import gettext
from portal.mail.outbox import write_mail
from portal.mail.rendering import site_link
from portal.signin import throttle
from portal.signin.vain import in_vain

if TYPE_CHECKING:
    from uuid import UUID

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


@needs(Capability.CONFIRMATION_RESEND)
def resend_confirmation(actor: Actor, user_id: UUID) -> Account:
    """Mail a user the link that confirms the address again; the one of before dies. Needs no case: nothing is seen.

    Raises NotFound, Forbidden, Conflict where nothing waits to be confirmed, LimitReached.
    """
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound
    check_outranked(actor, user)
    if user.email_verified_at is not None or not user.email:
        raise Conflict(gettext("The address is confirmed already."))
    if user.state != State.ACTIVE:
        raise Conflict(gettext("Only for an active account can the address be confirmed."))
    throttle.count_try(throttle.counter_of("mail", user.email), throttle.counter_of("all-mails", ""))
    mail_confirmation(user)
    record(actor, events.CONFIRMATION_RESENT, target_of(user))
    return user
