"""What tokens hold of somebody: where and when programs got tokens for the account. No secret of any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.core.own_data import part_of
from portal.tokens.models import TokenFamily

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.own_data import Part


def export_of(account_id: UUID) -> list[Part]:
    """The families of tokens."""
    return [part_of("token_families", TokenFamily, TokenFamily.account_id == account_id, hide=("epoch",))]
