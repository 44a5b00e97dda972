"""What outside sign-in holds of somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.core.own_data import part_of
from portal.outside.models import ExternalIdentity

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.own_data import Part


def export_of(account_id: UUID) -> list[Part]:
    """Who the account is at which provider."""
    return [part_of("linked_sign_ins", ExternalIdentity, ExternalIdentity.account_id == account_id)]
