"""What is held of somebody's conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portal.core.crypto import BadSeal
from portal.core.database import transaction
from portal.core.own_data import Part, part_of
from portal.messages.export_rows import COLUMNS, ExportPlan, newest_log, rows_of
from portal.messages.models import Conversation, QuarantinedRecord
from portal.messages.opening import open_titles
from portal.messages.reading import LogFilter
from portal.messages.sealing import open_quarantined

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.core.own_data import Row


def export_of(actor: Actor, account_id: UUID) -> list[Part]:
    """Conversations with their titles, every exchange with its words, and records that could not be stored.

    The words are opened for the actor, whose own they are.
    """
    talks = part_of(
        "conversations",
        Conversation,
        Conversation.user_id == account_id,
        hide=("client_id", "sealed_title"),
        also={"title": lambda talk: open_titles(actor, [talk])[talk.id]},
    )
    aside = part_of(
        "records_set_aside",
        QuarantinedRecord,
        QuarantinedRecord.user_id == account_id,
        hide=("client_id", "spool_key", "sealed"),
        also={"line": _line},
    )
    tables = ("message_logs", "message_contents", "sealed_contents")
    return [talks, Part("exchanges", tables, COLUMNS, lambda: _exchanges(actor, account_id)), aside]


def _exchanges(actor: Actor, account_id: UUID) -> Iterator[list[Row]]:
    with transaction():
        newest = newest_log(account_id)
    for facts in rows_of(actor, ExportPlan(account_id, "jsonl", LogFilter(), newest)):
        yield [{name: {**one, **one["usage"]}[name] for name in COLUMNS} for one in facts]


def _line(aside: Any) -> str | None:
    """What could not be stored, as it came."""
    if aside.sealed is None:
        line: str | None = aside.line
        return line
    try:
        return open_quarantined(aside.user_id, aside.id, aside.sealed)
    except BadSeal:
        return None
