"""Another username: nobody else gets the old one for a month, and the next change waits a week."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from portal.accounts import names
from portal.accounts.directory import own_account
from portal.accounts.lifecycle import target_of
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs, recently
from portal.core.database import db
from portal.core.errors import Invalid
from portal.core.text import gettext

if TYPE_CHECKING:
    from datetime import datetime

    from portal.accounts.models import Account
    from portal.core.actor import Actor

PAUSE = timedelta(days=7)
HELD_FOR = timedelta(days=30)


def may_rename_from(account: Account) -> datetime | None:
    """When the username may be changed again; None when it may be now."""
    if account.renamed_at is None or account.renamed_at + PAUSE <= clock.now():
        return None
    return account.renamed_at + PAUSE


@needs(Capability.OWN_SECURITY)
@recently()
def change_username(actor: Actor, typed: str) -> Account:
    """Give the actor's account another username, good for signing in at once. For HELD_FOR nobody but the account
    itself can take the old one. Raises Invalid, also within PAUSE of the last change.
    """
    account = own_account(actor)
    shown, canonical = names.checked_username(typed)
    if shown == account.username:
        raise Invalid({"username": gettext("This is your username already.")})
    if may_rename_from(account):
        raise Invalid({"username": gettext("The username can be changed once in seven days.")})
    if names.username_taken(canonical, but=account.id):
        raise _taken()
    before, before_canonical = account.username, account.username_canonical
    account.username, account.username_canonical = shown, canonical
    account.renamed_at = clock.now()
    names.refresh_search_text(account)
    try:
        db.session.flush()
    except IntegrityError:  # of several who take one name at the same moment the database lets one through
        raise _taken() from None
    names.release("username", canonical)
    if canonical != before_canonical:
        names.reserve("username", before_canonical, account.id, until=clock.now() + HELD_FOR)
    record(actor, events.USERNAME_CHANGED, target_of(account), {"from": before, "to": shown})
    notify(account, gettext("Your username was changed from %(old)s to %(new)s.", old=before, new=shown))
    return account


def _taken() -> Invalid:
    return Invalid({"username": gettext("This username is taken.")})
