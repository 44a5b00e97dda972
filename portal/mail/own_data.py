"""What the outbox holds of somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portal.core import crypto
from portal.core.own_data import part_of
from portal.mail.models import OutboxMail

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.own_data import Part


def export_of(account_id: UUID) -> list[Part]:
    """Mails by kind and date; of one that waits, the address. Its words may hold a link that opens the account."""
    own = OutboxMail.account_id == account_id
    hidden = ("sealed", "last_error", "next_try_at", "attempts")
    return [part_of("mails", OutboxMail, own, hide=hidden, also={"to": _address})]


def _address(mail: Any) -> str | None:
    if mail.sealed is None:
        return None
    try:
        told: str = crypto.unseal(mail.sealed, place=f"outbox:{mail.id}")["to"]
    except crypto.BadSeal:
        return None
    return told
