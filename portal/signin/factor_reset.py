"""Taking away the second factors of another account, for whoever lost phone and codes; only from above."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete

from portal.accounts.lifecycle import check_managed, raise_epoch, target_of
from portal.accounts.models import Account
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import record
from portal.core.access import Capability, needs, recently
from portal.core.database import db
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.text import gettext
from portal.signin.factors import Factors, factors_of, note_factors
from portal.signin.models import Authenticator, Passkey

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor


def stands_above(actor: Actor, account: Account) -> bool:
    """Whether the actor stands above the account. Full admins stand beside each other, and theirs is the operator's."""
    return actor.rank > account.rank


@needs(Capability.USER_WRITE, Capability.STAFF_MANAGE, Capability.ADMIN_MANAGE)
def resettable(actor: Actor, account_id: UUID) -> tuple[Account, Factors]:
    """An account whose factors the actor may reset, and what it has. Raises NotFound, Forbidden."""
    account = db.session.get(Account, account_id)
    if account is None:
        raise NotFound
    check_managed(actor, account)
    if not stands_above(actor, account):
        raise Forbidden(gettext("You cannot act on an account of this rank."))
    return account, factors_of(account.id)


@needs(Capability.USER_WRITE, Capability.STAFF_MANAGE, Capability.ADMIN_MANAGE)
@recently(factor=True)
def reset_factors(actor: Actor, account_id: UUID) -> Account:
    """Take away authenticator app, passkeys and recovery codes; every session ends and the owner is told.

    Wants a reason. The password stays as it is. Raises NotFound, Forbidden, Invalid, Conflict.
    """
    account, factors = resettable(actor, account_id)
    if not actor.reason:
        raise Invalid({"reason": gettext("Say why.")})
    if not factors.any:
        raise Conflict(gettext("This account has no second factor."))
    for table in (Authenticator, Passkey):
        gone = delete(table).where(table.account_id == account.id)
        db.session.execute(gone.execution_options(synchronize_session=False))
    note_factors(account)
    raise_epoch(account)
    record(actor, events.FACTORS_RESET, target_of(account))
    notify(account, gettext("The second factors of your account were taken away by whoever runs this site."))
    return account
