"""Saying "this was not me" by the link in the mail about a new sign-in: it shuts the account, and opens nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from portal.accounts import names
from portal.accounts.lifecycle import raise_epoch, target_of
from portal.accounts.links import Purpose, drop_later_links, look_at_link, spend_link
from portal.accounts.models import Account, OneTimeLink, State
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import open_to_all
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.text import gettext
from portal.keys.models import ApiKey
from portal.keys.service import end_key
from portal.keys.service import target_of as key_target
from portal.outside.models import ExternalIdentity
from portal.signin.devices import forget_devices
from portal.signin.ending import end_sessions
from portal.signin.factors import note_factors
from portal.signin.models import Passkey
from portal.signin.reset import OPEN, mail_reset_link
from portal.signin.sessions import actor_of

if TYPE_CHECKING:
    from datetime import datetime

    from portal.core.actor import Actor


@dataclass(frozen=True, slots=True)
class Disowned:
    """A sign-in that its owner may disown: of which account, when, and what was seen of it.

    `mailed` says whether a reset link can be mailed, which alone opens the account again.
    """

    account: Account
    at: datetime
    device: str
    address: str
    mailed: bool


def sign_in_to_disown(token: str) -> Disowned:
    """The sign-in that a link is about, without spending it. Raises NotFound."""
    return _disowned(look_at_link(token, Purpose.NOT_ME))


def _disowned(link: OneTimeLink) -> Disowned:
    account = db.session.get(Account, link.account_id)
    if account is None or account.state in {State.INVITED, State.DELETED}:
        raise NotFound
    facts = link.facts
    return Disowned(
        account,
        at=link.created_at,
        device=facts.get("device", ""),
        address=facts.get("address", ""),
        mailed=account.state in OPEN,
    )


@open_to_all("whoever holds the link mailed about a new sign-in: it can only shut the account")
def disown(actor: Actor, token: str) -> Disowned:
    """Lock the account: nothing opens it but a reset by mail, for which a link goes to the address of that time.

    Sessions, half-done sign-ins and known browsers end. What was added since and opens anything, passkeys, linked
    outside sign-ins and API keys, is taken away, and an address that was put in since is put back: else whoever was not
    the owner would walk in again. Other second factors stay. Raises NotFound.
    """
    link = spend_link(token, Purpose.NOT_ME)
    said = _disowned(link)
    account = said.account
    drop_later_links(link)
    account.locked_at = clock.now()
    raise_epoch(account)
    end_sessions(account.id)
    forget_devices(account.id)
    own = actor_of(account, address=actor.address, request_id=actor.request_id, credential="link")
    take_away_since(own, account, link.created_at)
    _put_address_back(account, link)
    record(own, events.NOT_ME_SAID, target_of(account), {"address": said.address})
    record(own, events.ACCOUNT_LOCKED, target_of(account))
    words = gettext(
        "You said that a sign-in was not yours. Your account is locked: everybody is signed out, passkeys, linked"
        " sign-ins and API keys that were added since are gone, and it opens again when you choose a new password."
        " Look afterwards under Security whether everything there is yours."
    )
    notify(account, words)
    if said.mailed:
        mail_reset_link(account)
    return said


def take_away_since(own: Actor, account: Account, since: datetime) -> None:
    """Take away what was added since then and opens anything: passkeys, linked outside sign-ins, API keys."""
    for table in (Passkey, ExternalIdentity):
        added = delete(table).where(table.account_id == account.id, table.created_at >= since)
        db.session.execute(added.execution_options(synchronize_session=False))
    note_factors(account)
    made = select(ApiKey).where(ApiKey.user_id == account.id, ApiKey.created_at >= since, ApiKey.revoked_at.is_(None))
    for key in db.session.scalars(made).all():
        if end_key(key, "owner"):
            record(own, events.KEY_REVOKED, key_target(key), {"name": key.name, "prefix": key.prefix})


def _put_address_back(account: Account, link: OneTimeLink) -> None:
    email, canonical = link.facts.get("email"), link.facts.get("canonical")
    if not email or not canonical or canonical == account.email_canonical:
        return
    if names.email_taken(canonical, but=account.id):
        return  # it is another account's by now: support has to help
    account.email, account.email_canonical = email, canonical
    names.refresh_search_text(account)
    names.release("email", canonical)
    db.session.flush()
