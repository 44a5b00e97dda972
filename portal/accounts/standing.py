"""What an account must have before it may do anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.core import settings

if TYPE_CHECKING:
    from portal.accounts.models import Account


def owes_factor(account: Account) -> bool:
    """Whether the account has to set up a second factor before it may do anything else."""
    return account.kind in settings.current().require_factor and not account.has_factor
