"""The rows of an export: which logs, in what order, as which bytes. A batch at a time, holding nothing in between."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, literal, select, tuple_

from portal.core.database import db, transaction
from portal.core.tables import compact_json, csv_row, json_line
from portal.core.text import gettext
from portal.messages.models import Conversation, MessageContent, MessageLog, MessageModel
from portal.messages.opening import open_contents
from portal.messages.reading import LogFilter, matching_metadata, narrow_logs, searches_words
from portal.messages.searching import matching_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Select

    from portal.core.actor import Actor
    from portal.core.tables import Cell
    from portal.messages.opening import Content

BATCH = 200
# Format → the media type of its files, which is what the file's name ends with too.
FORMATS = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
COLUMNS = (
    "id",
    "source_id",
    "user_id",
    "conversation_id",
    "model",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "latency_ms",
    "timestamp",
    "received_at",
    "content",
    "metadata",
    "messages",
)


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What an export holds: a user's logs that a filter leaves, of those there were when it was asked for."""

    user_id: UUID
    format: str
    wanted: LogFilter
    newest: int

    def as_arguments(self) -> dict[str, Any]:
        """The plan as JSON, to be kept with a long work."""
        since, until = self.wanted.since, self.wanted.until
        return {
            "user_id": str(self.user_id),
            "format": self.format,
            "newest": self.newest,
            "search": self.wanted.search,
            "model": self.wanted.model,
            "conversation": self.wanted.conversation,
            "since": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
        }


def plan_of(arguments: dict[str, Any]) -> ExportPlan:
    """The plan that was kept as these arguments."""
    since, until = arguments["since"], arguments["until"]
    wanted = LogFilter(
        search=arguments["search"],
        user_id=UUID(arguments["user_id"]),
        model=arguments["model"],
        conversation=arguments["conversation"],
        since=datetime.fromisoformat(since) if since else None,
        until=datetime.fromisoformat(until) if until else None,
    )
    return ExportPlan(UUID(arguments["user_id"]), arguments["format"], wanted, arguments["newest"])


def newest_log(user_id: UUID) -> int:
    """The highest number of a log of this user; 0 where there is none. What comes later is not in the export."""
    return db.session.scalar(select(func.max(MessageLog.number)).where(MessageLog.user_id == user_id)) or 0


def _logs_of(plan: ExportPlan) -> Select[MessageLog]:
    """The logs of the plan, as the list of them is narrowed: by words, or by names where words are sealed."""
    query = select(MessageLog).where(MessageLog.user_id == plan.user_id, MessageLog.number <= plan.newest)
    query = narrow_logs(query, replace(plan.wanted, user_id=plan.user_id))
    search = plan.wanted.search.strip()
    if search and searches_words():
        query = query.join(MessageContent, MessageContent.number == MessageLog.number)
        query = query.where(matching_words(search, plan.user_id))
    elif search:
        query = query.where(matching_metadata(search, plan.user_id))
    return query


def count_rows(plan: ExportPlan) -> int:
    """How many logs the export holds."""
    numbers = _logs_of(plan).with_only_columns(MessageLog.number).subquery()
    return db.session.scalar(select(func.count()).select_from(numbers)) or 0


def head_of(plan: ExportPlan) -> bytes:
    """What a file begins with."""
    return csv_row(COLUMNS) if plan.format == "csv" else b""


def broken_end_of(plan: ExportPlan) -> bytes:
    """The last line of a file that could not be finished. A log begins with its id, so it is taken for none."""
    words = gettext("This file is not whole: something went wrong while it was made. Export it again.")
    return csv_row([words]) if plan.format == "csv" else json_line({"error": words})


def batches_of(actor: Actor, plan: ExportPlan) -> Iterator[tuple[bytes, int]]:
    """(lines, how many), earliest first; see `rows_of`."""
    for rows in rows_of(actor, plan):
        yield (
            b"".join(csv_row(_cells(facts)) if plan.format == "csv" else json_line(facts) for facts in rows),
            len(rows),
        )


def rows_of(actor: Actor, plan: ExportPlan) -> Iterator[list[dict[str, Any]]]:
    """The logs of the plan with what was said, earliest first, as the API shows them.

    Between two batches there is no transaction, no connection and no row held. What is opened of another's leaves its
    entry before the words are handed out. Raises Forbidden, Invalid.
    """
    last: tuple[datetime, int] | None = None
    while True:
        with transaction():
            logs = _next_logs(plan, last)
            contents = open_contents(actor, logs, what="export") if logs else {}
            rows = list(_told(logs, contents))
            last = (logs[-1].at, logs[-1].number) if logs else None
        if rows:
            yield rows
        if len(rows) < BATCH:
            return


def _next_logs(plan: ExportPlan, last: tuple[datetime, int] | None) -> list[MessageLog]:
    query = _logs_of(plan)
    if last is not None:
        columns = (MessageLog.at, MessageLog.number)
        there = [literal(value, column.type) for value, column in zip(last, columns, strict=True)]
        query = query.where(tuple_(*columns) > tuple_(*there))
    return list(db.session.scalars(query.order_by(MessageLog.at, MessageLog.number).limit(BATCH)))


def _told(logs: list[MessageLog], contents: dict[int, Content]) -> Iterator[dict[str, Any]]:
    named = {
        row[0]: (row[1], row[2])
        for row in db.session.execute(
            select(MessageLog.number, Conversation.source_id, MessageModel.name)
            .join(Conversation, Conversation.id == MessageLog.conversation_id)
            .outerjoin(MessageModel, MessageModel.id == MessageLog.model_id)
            .where(MessageLog.number.in_([log.number for log in logs]))
        )
    }
    for log in logs:
        yield _facts(log, *named[log.number], contents[log.number])


def _facts(log: MessageLog, conversation: str, model: str | None, content: Content) -> dict[str, Any]:
    """A log as the API shows one, with what was said."""
    return {
        "id": str(log.id),
        "source_id": log.source_id,
        "user_id": str(log.user_id),
        "conversation_id": conversation,
        "model": model,
        "usage": {
            "prompt_tokens": log.prompt_tokens,
            "completion_tokens": log.completion_tokens,
            "total_tokens": log.total_tokens,
        },
        "latency_ms": log.latency_ms,
        "timestamp": log.at.isoformat(),
        "received_at": log.received_at.isoformat(),
        "content": content.state,
        "metadata": (content.extra or {}) if content.state == "kept" else None,
        "messages": content.messages if content.state == "kept" else None,
    }


def _cells(facts: dict[str, Any]) -> list[Cell]:
    """The same in the order of COLUMNS; what has parts of its own is JSON in one cell."""
    flat = {**facts, **facts["usage"]}
    for name in ("metadata", "messages"):
        flat[name] = None if flat[name] is None else compact_json(flat[name]).decode()
    return [flat[name] for name in COLUMNS]
