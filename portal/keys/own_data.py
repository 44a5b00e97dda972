"""What is held of somebody's API keys; never the keys, which nobody has but their owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.core.own_data import part_of
from portal.keys.models import ApiKey, KeyUse

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.own_data import Part


def export_of(account_id: UUID) -> list[Part]:
    """The keys, and who still used a replaced one."""
    own = select(ApiKey.id).where(ApiKey.user_id == account_id)
    return [
        part_of("api_keys", ApiKey, ApiKey.user_id == account_id, hide=("digest", "version")),
        part_of("api_key_uses", KeyUse, KeyUse.key_id.in_(own)),
    ]
