"""Second factors as a whole: what an account has, what is owed, and what hangs on a change of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from portal.core import settings
from portal.core.database import db
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
    """Write on the account whether it has a second factor; every verb that adds or takes one away ends with this."""
    db.session.flush()
    account.has_factor = factors_of(account.id).any


def owes_factor(account: Account) -> bool:
    """Whether the account has to set up a second factor before it may do anything else."""
    return account.kind in settings.current().require_factor and not account.has_factor
