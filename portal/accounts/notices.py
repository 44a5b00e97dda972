"""Telling the owner by mail of every change that opens or shuts an account, at the address of before the change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.accounts import names
from portal.accounts.links import LIFETIMES, Purpose, make_link
from portal.accounts.models import State
from portal.core import clock
from portal.core.masks import mask_email
from portal.mail.outbox import write_mail
from portal.mail.rendering import site_link

if TYPE_CHECKING:
    from portal.accounts.models import Account


def notify(account: Account, what: str, *, to: str | None = None) -> None:
    """Mail the owner in the transaction of the change; `what` is one sentence. `to` is the address of before, where
    the change was of the address itself."""
    values = {"name": account.shown_name, "what": what}
    write_mail(to or account.email or "", "notice", values, language=account.language, account_id=account.id)


@dataclass(frozen=True, slots=True)
class FormerAddress:
    """The address that an account had, and whether it was known to be the owner's."""

    email: str
    canonical: str
    confirmed: bool


def address_of(account: Account) -> FormerAddress | None:
    """The address as it is, to be kept while it is changed."""
    if not account.email or not account.email_canonical:
        return None
    return FormerAddress(account.email, account.email_canonical, account.email_verified_at is not None)


def tell_former_address(account: Account, former: FormerAddress | None) -> None:
    """Mail the address of before that it is no longer that of the account, with a link that takes this back.

    The link goes only to an address that was confirmed: one mistyped belongs to a stranger, who would be given the
    account by it. As long as the link is good nobody else may take the address. Nobody is told of an invitation that
    was put right.
    """
    if former is None or account.state == State.INVITED:
        return
    link = ""
    if former.confirmed:
        facts = {"email": former.email, "canonical": former.canonical}
        link = site_link(make_link(Purpose.KEEP_EMAIL, account, facts))
        until = clock.now() + LIFETIMES[Purpose.KEEP_EMAIL]
        names.reserve("email", former.canonical, account.id, until=until)
    values = {"name": account.shown_name, "address": mask_email(account.email or ""), "link": link}
    write_mail(former.email, "email_changed", values, language=account.language, account_id=account.id)
