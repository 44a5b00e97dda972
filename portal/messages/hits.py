"""Pages of the logs whose words match, newest first, however many logs and hits there are.

There are two ways. Where hits are many, the newest logs are looked through until a page is full. Where they are few,
all of them are gathered from the index and put in order. How many hits the newest logs hold tells which way is short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, literal, select, text, true

from portal.core.database import db, dialect_name
from portal.core.pages import Page, page_of, placed
from portal.messages.models import MessageContent, MessageLog
from portal.messages.searching import holds_words, is_phrase, matching_words, sqlite_match

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Select

NEWEST: list[Any] = [MessageLog.at.desc(), MessageLog.number.desc()]
# So many of the newest logs tell how common the words are.
FIRST = 500
# At most so many logs are looked through. SQLite's index answers by ranges of numbers; on PostgreSQL each log is read.
MOST_LOOKED = {"sqlite": 300_000, "postgresql": 60_000}
# A third more than the hits so far promise, for they are not spread evenly.
MARGIN = 1.3
# What it costs to pass over a log that a filter leaves out, where to look into one costs 1.
PASSING = 0.05


def page_of_hits(
    query: Select[MessageLog], search: str, cursor: str | None, *, owner: UUID | None, size: int
) -> Page[MessageLog]:
    """One page of those logs of `query` whose words hold every part of the search; with an owner, of theirs only.

    Who may see them is for the caller to know: portal.messages.opening. Raises Malformed for a bad cursor.
    """
    numbers = _look_through(query, search, cursor, owner=owner, size=size)
    if numbers is not None:
        found = query.where(MessageLog.number.in_(numbers))
    else:
        found = query.where(_gathered(search, owner))
    return page_of(found, NEWEST, cursor, purpose="logs", size=size)


def _look_through(
    query: Select[MessageLog], search: str, cursor: str | None, *, owner: UUID | None, size: int
) -> list[int] | None:
    """The numbers of one hit more than a page from the cursor on, or all there are; None where that takes too long."""
    in_order, back, _ = placed(query, NEWEST, cursor, purpose="logs")
    ordered = in_order.with_only_columns(MessageLog.number, MessageLog.at)
    window: int | None = FIRST
    while window is not None:
        near = ordered.limit(window)
        numbers = list(db.session.scalars(_hits_in(near, search, owner, back=back).limit(size + 1)))
        if len(numbers) > size:
            return numbers
        part = near.subquery()
        facts = db.session.execute(
            select(func.count(), func.min(part.c.number), func.max(part.c.number)).select_from(part)
        ).one()
        if facts[0] < window:
            return numbers
        if window > FIRST:
            return None
        if is_phrase(search):
            candidates = _hits_in(near, search, owner, back=back, in_a_row=False).subquery()
            known = db.session.scalar(select(func.count()).select_from(candidates)) or 0
        else:
            known = len(numbers)
        window = _next_window(len(numbers), known, facts[1], facts[2], size=size, owned=owner is not None)
    return None


def _next_window(hits: int, known: int, lowest: int, highest: int, *, size: int, owned: bool) -> int | None:
    """How many logs to look through after the first; None where it takes less to gather all that the index knows.

    `known` of the first the index holds for hits; for a phrase these are all logs that have its words anywhere.
    """
    reach = highest - lowest + 1
    needed = MARGIN * (size + 1) * FIRST / max(hits, 0.5)
    to_look = needed * (1 + PASSING * reach / FIRST)
    to_gather = max(known, 0.5) * highest / (reach if owned else FIRST)
    return None if to_gather <= to_look else min(int(needed), MOST_LOOKED[dialect_name()])


def _gathered(search: str, owner: UUID | None) -> Any:
    """The condition that a log is among all hits of the index."""
    if dialect_name() == "postgresql":
        # OFFSET keeps the planner from looking at one log after the other, which is for the other way.
        hits = select(MessageContent.number).where(matching_words(search, owner)).offset(0)
        return MessageLog.number.in_(hits)
    gathered = "message_logs.number IN (SELECT rowid FROM message_search WHERE message_search MATCH :words)"
    return text(gathered).bindparams(words=sqlite_match(search, owner))


def _hits_in(near: Any, search: str, owner: UUID | None, *, back: bool, in_a_row: bool = True) -> Select[Any]:
    """The numbers of those of these logs whose words match, in the order of the logs."""
    if dialect_name() == "postgresql":
        logs = near.subquery("near")
        said = select(literal(1)).select_from(MessageContent).where(MessageContent.number == logs.c.number)
        # OFFSET keeps it a look at one log after the other, which ends with the page.
        said_so = said.where(holds_words(search, in_a_row=in_a_row)).offset(0).lateral("said")
        query = select(logs.c.number).join(said_so, true())
        order = (logs.c.at, logs.c.number)
    else:
        cte = near.cte("near")
        among = text(
            "near.number IN (SELECT rowid FROM message_search WHERE message_search MATCH :words"
            " AND rowid BETWEEN (SELECT min(number) FROM near) AND (SELECT max(number) FROM near))"
        ).bindparams(words=sqlite_match(search, owner, in_a_row=in_a_row))
        query = select(cte.c.number).where(among)
        order = (cte.c.at, cte.c.number)
    return query.order_by(*(column.asc() if back else column.desc() for column in order))
