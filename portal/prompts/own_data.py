"""What is held of somebody's saved prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.core.own_data import part_of
from portal.prompts.models import Prompt

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.own_data import Part


def export_of(account_id: UUID) -> list[Part]:
    """The prompts with their words."""
    return [part_of("prompts", Prompt, Prompt.user_id == account_id, hide=("version",))]
