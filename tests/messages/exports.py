"""Exports of Alice's: small ones sent at once, large ones made by the job, looked at as stored, and fetched."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.core.database import db, transaction
from portal.jobs.runner import run_job
from portal.messages.export_files import exports_folder
from portal.messages.exporting import (
    Export,
    export_own_logs,
    link_to_export,
    open_export,
    own_export,
)
from portal.messages.reading import LogFilter
from portal.work.models import LongWork
from tests.people import actor_named

Push = Callable[..., list[tuple[str, str | None]]]
COUNT = 7
DAY = timedelta(days=1)
ALL = LogFilter()


def ask(file_format: str = "jsonl") -> LongWork:
    """Alice asks for all of hers."""
    with transaction():
        made = export_own_logs(actor_named("alice"), LogFilter(), file_format).work
    assert made is not None
    return made


def work_off() -> None:
    """Run the job."""
    run = run_job("do_long_works", by_hand=True)
    assert run is not None
    assert run.outcome == "done", run.summary
    db.session.remove()


def stored(work: LongWork) -> LongWork:
    """The work as the database has it."""
    db.session.expire_all()
    return db.session.scalars(select(LongWork).where(LongWork.id == work.id)).one()


def files() -> list[str]:
    """What lies in the folder."""
    return sorted(path.name for path in exports_folder().iterdir())


def link_of(work: LongWork, name: str = "alice") -> str:
    """The link, as its page shows it."""
    who = actor_named(name)
    link = link_to_export(who, own_export(who, work.id))
    assert link is not None
    return link


def fetch(work: LongWork, link: str, name: str = "alice") -> list[dict[str, Any]]:
    """The file, as JSON lines. Raises NotFound."""
    found = open_export(actor_named(name), work.id, link)
    with found.file:
        said = found.file.read()
    assert len(said) == found.size
    return [json.loads(line) for line in said.splitlines()]


def instant(text: str) -> datetime:
    """An instant of the tests, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def said(words: str) -> list[dict[str, Any]]:
    """What a user said, as a record has it."""
    return [{"role": "user", "content": words}]


def export(wanted: LogFilter = ALL, file_format: str = "jsonl") -> Export:
    """Alice asks for her own."""
    with transaction():
        return export_own_logs(actor_named("alice"), wanted, file_format)


def bytes_of(made: Export) -> bytes:
    """All of it, as it is sent."""
    assert made.pieces is not None
    return b"".join(made.pieces)


def lines(made: Export) -> list[dict[str, Any]]:
    """The logs in a file of JSON lines."""
    return [json.loads(line) for line in bytes_of(made).splitlines()]


def ids(made: Export) -> list[str]:
    """The callers' ids in a file of JSON lines."""
    return [line["source_id"] for line in lines(made)]


def entries(event: str) -> list[AuditEntry]:
    """What was written of it."""
    return list(db.session.scalars(select(AuditEntry).where(AuditEntry.event == event).order_by(AuditEntry.id)))
