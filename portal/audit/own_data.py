"""What the audit log holds of somebody: what they did, and what was done to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import or_

from portal.audit.models import AuditEntry
from portal.audit.reading import INSIDE, reason_told
from portal.core.own_data import part_of

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.own_data import Part


# What belongs to the chain and says nothing of anybody.
CHAIN = ("seq", "digest", "personal", "salt", "personal_digest", "purged_of")


def export_of(account_id: UUID) -> list[Part]:
    """Entries by and about the account. Of others: what they are, not from where; of people, why they did it."""

    def own(entry: Any) -> bool:
        return bool(entry.actor_id == account_id)

    return [
        part_of(
            "audit",
            AuditEntry,
            or_(AuditEntry.actor_id == account_id, AuditEntry.target_id == account_id),
            hide=("actor_id", "on_behalf_of", "request_id", "case", *CHAIN),
            also={
                "by_yourself": own,
                "actor_name": lambda entry: entry.actor_name if own(entry) else None,
                "address": lambda entry: entry.address if own(entry) else None,
                "facts": lambda entry: entry.facts if own(entry) or entry.event not in INSIDE else {},
                "reason": lambda entry: entry.reason if own(entry) else reason_told(entry),
            },
        )
    ]
