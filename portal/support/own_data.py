"""What the desk holds of somebody: cases and what was said in them, notes, and who unmasked what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.core.own_data import part_of
from portal.support.models import CaseMessage, Note, Reveal, SupportCase, Viewing

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.own_data import Part


def export_of(account_id: UUID) -> list[Part]:
    """Cases about the account with their messages, notes on it, each reveal and viewing; not who of the house."""
    asked = select(SupportCase.id).where(SupportCase.user_id == account_id)
    inside = ("opened_by", "wanted_id", "holder_id", "closed_by")
    return [
        part_of("support_cases", SupportCase, SupportCase.user_id == account_id, hide=inside),
        part_of("case_messages", CaseMessage, CaseMessage.case_id.in_(asked), hide=("author_id",)),
        part_of("notes", Note, Note.user_id == account_id, hide=("author_id",)),
        part_of("reveals", Reveal, Reveal.user_id == account_id, hide=("reader_id",)),
        part_of("viewings", Viewing, Viewing.user_id == account_id, hide=("viewer_id",)),
    ]
