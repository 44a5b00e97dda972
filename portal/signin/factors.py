"""Second factors as a whole: what an account has, what is owed, and what hangs on a change of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from portal.core import settings
from portal.core.database import db
from portal.core.errors import Conflict
from portal.core.text import gettext
from portal.signin.models import Authenticator, Passkey, RecoveryCode

if TYPE_CHECKING:
    from uuid import UUID

    from portal.accounts.models import Account


@dataclass(frozen=True, slots=True)
class Factors:
    """The second factors of one account: an authenticator app, how many passkeys, how many recovery codes left."""

    authenticator: bool
    passkeys: int
    recovery_codes: int

    @property
    def any(self) -> bool:
        """Whether there is one. Recovery codes alone are none: they stand in for one that is lost."""
        return self.authenticator or self.passkeys > 0

    @property
    def only_one(self) -> bool:
        """Whether nothing is left when one goes."""
        return int(self.authenticator) + self.passkeys == 1


def factors_of(account_id: UUID) -> Factors:
    """What this account has."""
    confirmed = select(Authenticator.account_id).where(
        Authenticator.account_id == account_id, Authenticator.confirmed_at.is_not(None)
    )
    passkeys = select(func.count()).select_from(Passkey).where(Passkey.account_id == account_id)
    codes = select(func.count()).where(RecoveryCode.account_id == account_id, RecoveryCode.used_at.is_(None))
    return Factors(
        authenticator=db.session.scalar(confirmed) is not None,
        passkeys=db.session.scalar(passkeys) or 0,
        recovery_codes=db.session.scalar(codes) or 0,
    )


def note_factors(account: Account) -> None:
    """Write on the account whether it has a second factor; every verb that adds or takes one away ends with this.

    Recovery codes go with the last one: they stand in for nothing then, and must not for a later one.
    """
    db.session.flush()
    account.has_factor = factors_of(account.id).any
    if not account.has_factor:
        forget_recovery_codes(account.id)


def forget_recovery_codes(account_id: UUID) -> None:
    """Delete all recovery codes of an account, used or not."""
    gone = delete(RecoveryCode).where(RecoveryCode.account_id == account_id)
    db.session.execute(gone.execution_options(synchronize_session=False))


def may_remove(account: Account, factors: Factors) -> bool:
    """Whether one of these factors may go: the last one stays where accounts of this kind must have one."""
    return account.kind not in settings.current().require_factor or not factors.only_one


def check_removable(account: Account) -> None:
    """The rule before an authenticator app or a passkey is removed. Raises Conflict where it is the last, and owed."""
    if not may_remove(account, factors_of(account.id)):
        raise Conflict(gettext("Your account must have a second factor, and this is the last one. Add another first."))
