"""A forgotten password: a mailed one-time link, a new password, and everything issued before dead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.accounts.directory import account_named
from portal.accounts.lifecycle import MANAGING, check_managed, raise_epoch, target_of
from portal.accounts.links import Purpose, look_at_link, make_link, spend_link
from portal.accounts.models import Account, State
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock, settings
from portal.core.access import Capability, check_recent, needs, open_to_all
from portal.core.database import db
from portal.core.errors import Conflict, NotFound
from portal.core.text import gettext
from portal.mail.outbox import write_mail
from portal.mail.rendering import site_link
from portal.signin import passwords, throttle
from portal.signin.sessions import actor_of
from portal.signin.vain import in_vain

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

# Who is leaving may still come back, and needs the password for it.
OPEN = {State.ACTIVE, State.CLOSING}


@open_to_all("anybody may say that a password is forgotten; the answer is always the same")
def ask_for_reset(actor: Actor, typed_name: str) -> None:
    """Mail a link when there is such an active account; tell nothing either way. Raises LimitReached."""
    throttle.count_try(*throttle.mail_counters(actor.address, typed_name, sort="reset"))
    account = account_named(typed_name)
    if account is not None and account.state in OPEN and account.email:
        mail_reset_link(account)
        record(actor, events.PASSWORD_RESET_STARTED, target_of(account))
    else:
        with in_vain():
            write_mail(typed_name, "reset", {"name": typed_name, "link": site_link(make_link(Purpose.RESET, None))})
            record(actor, events.PASSWORD_RESET_STARTED, Target("account"))


@needs(Capability.USER_WRITE, Capability.RESET_MAIL, Capability.STAFF_MANAGE, Capability.ADMIN_MANAGE, case=True)
def start_reset(actor: Actor, account_id: UUID) -> str | None:
    """Mail a reset link to someone of lower rank; answers the link only where no mail leaves, and never to the desk.

    Raises NotFound, Conflict, Forbidden, CaseNeeded.
    """
    account = db.session.get(Account, account_id)
    if account is None or account.state == State.DELETED:
        raise NotFound
    check_managed(actor, account, Capability.RESET_MAIL)
    if account.state != State.ACTIVE:
        raise Conflict(gettext("Only an active account can reset its password."))
    handed_over = not settings.current().mail_leaves
    if handed_over and not actor.may(MANAGING[account.kind]):
        raise Conflict(gettext("No mail leaves this site. An admin can hand a link over."))
    if handed_over:
        check_recent(actor, factor=True)  # whoever holds the link can have the account
    throttle.count_try(throttle.counter_of("reset", account.email), throttle.counter_of("all-mails", ""))
    link = mail_reset_link(account, handed_over=handed_over)
    record(actor, events.PASSWORD_RESET_STARTED, target_of(account))
    return link if handed_over else None


def mail_reset_link(account: Account, *, handed_over: bool = False) -> str:
    """Mail the link by which a new password is chosen; answers it. One of before dies.

    One that is handed over besides, on a screen, shows nothing of the address.
    """
    link = site_link(make_link(Purpose.RESET, account, {"handed_over": handed_over}))
    values = {"name": account.shown_name, "link": link}
    write_mail(account.email or "", "reset", values, language=account.language, account_id=account.id)
    return link


def account_to_reset(token: str) -> Account:
    """Whose password a link resets, without spending it. Raises NotFound."""
    account = db.session.get(Account, look_at_link(token, Purpose.RESET).account_id)
    if account is None or account.state not in OPEN:
        raise NotFound
    return account


@open_to_all("whoever holds the mailed link")
def reset_password(actor: Actor, token: str, password: str) -> Account:
    """Set a new password; sessions and tokens of before are dead. No session is opened. Raises Invalid, NotFound."""
    account = account_to_reset(token)
    passwords.check_policy(password, kind=account.kind, username=account.username, email=account.email or "")
    hashed = passwords.hash_password(password)
    link = spend_link(token, Purpose.RESET)
    account.password_hash = hashed
    if not link.facts.get("handed_over"):  # whoever opened the mailed link holds the address
        account.email_verified_at = account.email_verified_at or clock.now()
    raise_epoch(account)
    throttle.forget_failures(throttle.counter_of("name", account.username), throttle.counter_of("name", account.email))
    own = actor_of(account, address=actor.address, request_id=actor.request_id, credential="link")
    record(own, events.PASSWORD_RESET, target_of(account))
    account.locked_at = None
    notify(account, gettext("Your password was changed with a reset link."))
    return account
