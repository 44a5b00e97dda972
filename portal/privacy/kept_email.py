"""Taking back a change of the e-mail address by the link mailed to the former one: it shuts the account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.accounts import names
from portal.accounts.lifecycle import raise_epoch, target_of
from portal.accounts.links import LIFETIMES, Purpose, drop_later_links, look_at_link, spend_link
from portal.accounts.models import Account, State
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import record
from portal.core import clock, settings
from portal.core.access import open_to_all
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.masks import mask_email
from portal.core.text import gettext
from portal.mail.outbox import write_mail
from portal.privacy.disowning import take_away_since
from portal.signin.devices import forget_devices
from portal.signin.ending import end_sessions
from portal.signin.reset import OPEN, mail_reset_link
from portal.signin.sessions import actor_of

if TYPE_CHECKING:
    from portal.core.actor import Actor


@dataclass(frozen=True, slots=True)
class Kept:
    """What a former address got back. Without `restored` it belongs to another account by now."""

    account: Account
    email: str
    restored: bool


def account_of_kept_email(token: str) -> tuple[Account, str]:
    """To whom a link gives back which address, without spending it. Raises NotFound."""
    link = look_at_link(token, Purpose.KEEP_EMAIL)
    account = db.session.get(Account, link.account_id)
    if account is None or account.state in {State.INVITED, State.DELETED}:
        raise NotFound
    return account, link.facts["email"]


@open_to_all("whoever holds the link mailed to the address of before")
def keep_email(actor: Actor, token: str) -> Kept:
    """Give the account its former address back, whatever was changed since, and shut it till the password is reset.

    Every session ends, links that were mailed later are dead, what was added since to come in by is gone, both
    addresses are told, and a reset link goes to the one that is back. When another account holds the address by now,
    all ends as well and support is told. Raises NotFound.
    """
    account, email = account_of_kept_email(token)
    link = spend_link(token, Purpose.KEEP_EMAIL)
    canonical = link.facts["canonical"]
    drop_later_links(link)
    raise_epoch(account)
    end_sessions(account.id)
    forget_devices(account.id)
    own = actor_of(account, address=actor.address, request_id=actor.request_id, credential="link")
    take_away_since(own, account, link.created_at - LIFETIMES[Purpose.NEW_EMAIL])  # whoever asked for it was in by then
    if names.email_taken(canonical, but=account.id):
        record(own, events.EMAIL_KEPT, target_of(account), result="refused")
        _tell_support(account)
        return Kept(account, email, restored=False)
    intruder = account.email if account.email_canonical != canonical else None
    account.email, account.email_canonical = email, canonical
    account.email_verified_at = account.locked_at = clock.now()
    names.refresh_search_text(account)
    names.release("email", canonical)
    db.session.flush()
    record(own, events.EMAIL_KEPT, target_of(account))
    words = gettext(
        "The change of the e-mail address was taken back from the former address, %(address)s.",
        address=mask_email(email),
    )
    if intruder:
        notify(account, words, to=intruder)
    notify(account, words)
    if account.state in OPEN:
        mail_reset_link(account)
    return Kept(account, email, restored=True)


def _tell_support(account: Account) -> None:
    to = settings.current().support_email
    if to:
        values = {"username": account.username, "id": str(account.id)}
        write_mail(to, "email_not_kept", values, account_id=account.id)
