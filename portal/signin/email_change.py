"""Another e-mail address: confirmed by a link to the new one, told to the old one, which can take it back for a week
(privacy/kept_email.py).

Whether an address belongs to somebody else is told to nobody but that somebody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.accounts import names
from portal.accounts.directory import own_account
from portal.accounts.lifecycle import target_of
from portal.accounts.links import (
    Purpose,
    drop_links,
    latest_link,
    look_at_link,
    make_link,
    spend_link,
)
from portal.accounts.models import Account, State
from portal.accounts.notices import address_of, notify, tell_former_address
from portal.audit import events
from portal.audit.record import record
from portal.core import clock, settings
from portal.core.access import Capability, needs, open_to_all, recently
from portal.core.database import db
from portal.core.errors import Conflict, Invalid, NotFound
from portal.core.masks import mask_email
from portal.core.text import gettext
from portal.mail.outbox import write_mail
from portal.mail.rendering import site_link
from portal.signin import throttle
from portal.signin.sessions import actor_of, keep_only_session

if TYPE_CHECKING:
    from datetime import datetime

    from portal.core.actor import Actor


@dataclass(frozen=True, slots=True)
class Asked:
    """An address that was asked for and is not confirmed yet."""

    email: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Changed:
    """A change that was made. `secret` is for the cookie of the browser, if it is signed in to that account."""

    account: Account
    secret: str | None


@needs(Capability.OWN_SECURITY)
def asked_email(actor: Actor) -> Asked | None:
    """The address that the actor asked for and has not confirmed, while its link is good."""
    link = latest_link(Purpose.NEW_EMAIL, own_account(actor))
    return Asked(link.facts["email"], link.expires_at) if link else None


@needs(Capability.OWN_SECURITY)
@recently()
def ask_for_email(actor: Actor, typed: str) -> str:
    """Mail a link to another address of the actor's, and word to the present one; answers the new address.

    An address that is taken gets the same answer here; its owner is told by mail. Raises Invalid, LimitReached.
    """
    account = own_account(actor)
    shown, canonical = names.checked_email(typed)
    domains = settings.current().email_domains
    if domains and canonical.rpartition("@")[2] not in domains:
        raise Invalid({"email": gettext("Addresses of this domain are not taken here.")})
    if canonical == account.email_canonical:
        raise Invalid({"email": gettext("This is the address of your account already.")})
    throttle.count_try(throttle.counter_of("mail", str(account.id)), *throttle.mail_counters(actor.address, canonical))
    path = make_link(Purpose.NEW_EMAIL, account, {"email": shown, "canonical": canonical})
    if names.email_taken(canonical, but=account.id):
        _tell_owner(canonical)  # the link is mailed to nobody
    else:
        values = {"name": account.shown_name, "username": account.username, "link": site_link(path)}
        write_mail(shown, "new_email", values, language=account.language, account_id=account.id)
    words = gettext(
        "Somebody who is signed in to your account asked to change its e-mail address to %(address)s. "
        "It changes when a link that was mailed there is used.",
        address=mask_email(shown),
    )
    notify(account, words)
    record(actor, events.EMAIL_CHANGE_ASKED, target_of(account))
    return shown


def _tell_owner(canonical: str) -> None:
    """Tell the owner of an address, and nobody else, that somebody wanted it for another account."""
    owner = db.session.scalars(select(Account).where(Account.email_canonical == canonical)).first()
    if owner is not None and owner.email:
        values = {"name": owner.shown_name}
        write_mail(owner.email, "email_wanted", values, language=owner.language, account_id=owner.id)


@needs(Capability.OWN_SECURITY)
def forget_asked_email(actor: Actor) -> None:
    """Take back what was asked for: the mailed link is dead."""
    account = own_account(actor)
    drop_links(Purpose.NEW_EMAIL, account)
    record(actor, events.EMAIL_CHANGE_DROPPED, target_of(account))


def account_of_new_email(token: str) -> tuple[Account, str]:
    """Whose address a link changes, and to which, without spending it. Raises NotFound."""
    link = look_at_link(token, Purpose.NEW_EMAIL)
    account = db.session.get(Account, link.account_id)
    if account is None or account.state != State.ACTIVE:
        raise NotFound
    return account, link.facts["email"]


@open_to_all("whoever holds the link mailed to the new address")
def confirm_email_change(actor: Actor, token: str) -> Changed:
    """Spend the link: from now on it is the address of the account. It ends all other sessions and opens none.

    Raises NotFound, or Conflict when another account was quicker.
    """
    account, email = account_of_new_email(token)
    link = spend_link(token, Purpose.NEW_EMAIL)
    canonical = link.facts["canonical"]
    former = address_of(account)
    if names.email_taken(canonical, but=account.id):
        raise _taken()
    account.email, account.email_canonical = email, canonical
    account.email_verified_at = clock.now()
    names.refresh_search_text(account)
    try:
        db.session.flush()
    except IntegrityError:
        raise _taken() from None
    names.release("email", canonical)
    secret = keep_only_session(actor, account)
    tell_former_address(account, former)
    own = actor_of(account, address=actor.address, request_id=actor.request_id, credential="link")
    record(own, events.EMAIL_CHANGED, target_of(account))
    return Changed(account, secret)


def _taken() -> Conflict:
    return Conflict(gettext("This address belongs to another account by now. Yours keeps the one it has."))
