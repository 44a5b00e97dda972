"""The audit log as a file: what a filter leaves, newest first, as CSV or JSON lines, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.reading import narrowed
from portal.audit.record import record
from portal.audit.sealing import BATCH as SEALED_AT_ONCE
from portal.audit.sealing import seal_batch
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import Invalid
from portal.core.pages import placed_after
from portal.core.tables import compact_json, csv_row, json_line
from portal.core.text import gettext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portal.audit.reading import AuditFilter
    from portal.core.actor import Actor
    from portal.core.tables import Cell

FORMATS = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
MOST = 100_000
BATCH = 500
COLUMNS = (
    *("seq", "at", "event", "actor_kind", "actor_id", "actor_name", "credential", "on_behalf_of"),
    *(
        "target_type",
        "target_id",
        "target_name",
        "facts",
        "reason",
        "case",
        "request_id",
        "address",
        "result",
        "digest",
    ),
)


@dataclass(frozen=True, slots=True)
class AuditFile:
    """A file to send: its name, its type, and its pieces, each read when it is wanted."""

    name: str
    media_type: str
    pieces: Iterator[bytes]


def told_entry(entry: AuditEntry) -> dict[str, Any]:
    """An entry as programs are told it. `seq` and `digest` are null until it is sealed, seconds later."""
    return {
        "id": str(entry.id),
        "seq": entry.seq,
        "at": entry.at.isoformat(),
        "event": entry.event,
        "actor": {
            "kind": entry.actor_kind,
            "id": str(entry.actor_id) if entry.actor_id else None,
            "name": entry.actor_name,
            "credential": entry.credential,
        },
        "on_behalf_of": str(entry.on_behalf_of) if entry.on_behalf_of else None,
        "target": {
            "type": entry.target_type,
            "id": str(entry.target_id) if entry.target_id else None,
            "name": entry.target_name,
        }
        if entry.target_type
        else None,
        "facts": entry.facts,
        "reason": entry.reason,
        "case": entry.case,
        "request_id": entry.request_id,
        "address": entry.address,
        "result": entry.result,
        "digest": entry.digest.hex() if entry.digest else None,
    }


@needs(Capability.AUDIT_READ)
def export_entries(actor: Actor, wanted: AuditFilter, form: str) -> AuditFile:
    """The entries that a filter leaves, newest first, sealed as far as may be.

    Raises Invalid at "format" for one there is not, and for more than MOST entries.
    """
    if form not in FORMATS:
        raise Invalid({"format": gettext("Choose one of these.")})
    count = db.session.scalar(select(func.count()).select_from(narrowed(wanted).limit(MOST + 1).subquery())) or 0
    if count > MOST:
        words = gettext("These are more than %(most)s entries. Narrow them down, such as by days.", most=f"{MOST:,}")
        raise Invalid({"format": words})
    while seal_batch() == SEALED_AT_ONCE:
        pass
    record(actor, events.AUDIT_EXPORTED, None, {"format": form, "count": count})
    name = f"doorward-audit-{clock.now():%Y%m%d-%H%M%S}.{form}"
    return AuditFile(name, FORMATS[form], _pieces(wanted, form))


def _pieces(wanted: AuditFilter, form: str) -> Iterator[bytes]:
    if form == "csv":
        yield csv_row(COLUMNS)
    order = [AuditEntry.at.desc(), AuditEntry.id.desc()]
    last: tuple[Any, ...] | None = None
    sent = 0
    while sent < MOST:
        query = placed_after(narrowed(wanted), order, last).limit(min(BATCH, MOST - sent))
        rows = list(db.session.scalars(query.execution_options(populate_existing=True)))
        if not rows:
            return
        last = (rows[-1].at, rows[-1].id)
        sent += len(rows)
        yield b"".join(csv_row(_cells(row)) if form == "csv" else json_line(told_entry(row)) for row in rows)


def _cells(entry: AuditEntry) -> list[Cell]:
    return [_cell(getattr(entry, name)) for name in COLUMNS]


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return compact_json(value).decode()
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
