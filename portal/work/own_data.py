"""What is held of the long works somebody asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.core.own_data import part_of
from portal.work.models import LongWork

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.own_data import Part


def export_of(account_id: UUID) -> list[Part]:
    """What was asked for and what came of it; not the way to the files."""
    hidden = ("file", "link_digest", "epoch", "holder", "fence", "held_until")
    return [part_of("exports", LongWork, LongWork.owner_id == account_id, hide=hidden)]
