"""What is held of somebody's conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.core.database import transaction
from portal.core.own_data import Part, part_of
from portal.messages.export_rows import COLUMNS, ExportPlan, newest_log, rows_of
from portal.messages.models import Conversation, QuarantinedRecord
from portal.messages.opening import open_set_aside, open_titles
from portal.messages.reading import LogFilter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.core.own_data import Row


def export_of(account_id: UUID, actor: Actor) -> list[Part]:
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
        also={"line": lambda one: open_set_aside(actor, [one])[one.id]},
    )
    tables = ("message_logs", "message_contents", "sealed_contents")
    return [talks, Part("exchanges", tables, COLUMNS, lambda: _exchanges(account_id, actor)), aside]


def _exchanges(account_id: UUID, actor: Actor) -> Iterator[list[Row]]:
    with transaction():
        newest = newest_log(account_id)
    for facts in rows_of(actor, ExportPlan(account_id, "jsonl", LogFilter(), newest)):
        yield [{name: {**one, **one["usage"]}[name] for name in COLUMNS} for one in facts]
