"""Keyset pages: a list that stays fast and stable at any depth, with opaque signed cursors, never OFFSET."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import literal, tuple_
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import UnaryExpression

from portal.core import crypto
from portal.core.database import db
from portal.core.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Select

T = TypeVar("T")
PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; a cursor is None where there is no such page."""

    items: list[T]
    next_cursor: str | None
    previous_cursor: str | None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"t": value.isoformat()}
    if isinstance(value, uuid.UUID):
        return {"u": value.hex}
    return value


def _rich(value: Any) -> Any:
    if isinstance(value, dict):
        return datetime.fromisoformat(value["t"]) if "t" in value else uuid.UUID(value["u"])
    return value


def _column(order: Any) -> tuple[ColumnElement[Any], bool]:
    """The bare column of an order clause, and whether it descends."""
    if isinstance(order, UnaryExpression):
        return order.element, order.modifier is operators.desc_op
    return order, False


def _beyond(columns: list[tuple[ColumnElement[Any], bool]], values: list[Any], *, back: bool) -> ColumnElement[bool]:
    """The rows that come after (or before) `values`. NULLs are not expected in the columns.

    One comparison of whole rows, which both databases answer from the index; a chain of ORs they would not.
    """
    here = tuple_(*(column for column, _ in columns))
    there = tuple_(*(literal(value, column.type) for value, (column, _) in zip(values, columns, strict=True)))
    return here < there if columns[0][1] != back else here > there


def placed(query: Select[T], order: list[Any], cursor: str | None, *, purpose: str) -> tuple[Select[T], bool, bool]:
    """The query in its order from the cursor on, whether it leads back, and whether there is anything behind it.

    `order` must end in a unique column and run one way. Raises Malformed for a bad cursor."""
    columns = [_column(part) for part in order]
    if len({descends for _, descends in columns}) != 1:
        raise ValueError("a keyset page runs one way in all its columns")
    if not cursor:
        return query.order_by(*order), False, False
    said = crypto.unsign(cursor, purpose=f"cursor-{purpose}")
    if not isinstance(said, list) or len(said) != len(columns) + 1:
        raise Malformed
    back, values = said[0] == "before", [_rich(value) for value in said[1:]]
    query = query.where(_beyond(columns, values, back=back))
    if back:
        order = [column.asc() if descends else column.desc() for column, descends in columns]
    return query.order_by(*order), back, True


def placed_after(query: Select[T], order: list[Any], values: tuple[Any, ...] | None) -> Select[T]:
    """The query in its order, from behind the row with these values on: for reading a list to its end in batches."""
    if values is not None:
        query = query.where(_beyond([_column(part) for part in order], list(values), back=False))
    return query.order_by(*order)


def page_of(
    query: Select[T],
    order: list[Any],
    cursor: str | None,
    *,
    purpose: str,
    size: int = PAGE_SIZE,
) -> Page[T]:
    """The page of `query` at `cursor`. `order` must end in a unique column and run one way.

    Raises Malformed for a bad cursor."""
    query, back, begun = placed(query, order, cursor, purpose=purpose)
    rows: list[T] = list(db.session.scalars(query.limit(size + 1)))
    more, rows = len(rows) > size, rows[:size]
    if back:
        rows.reverse()

    return _cut(rows, lambda row: _place(row, order), more=more, back=back, begun=begun, purpose=purpose)


def merged_page(
    sources: list[tuple[Select[Any], list[Any]]], cursor: str | None, *, purpose: str, size: int = PAGE_SIZE
) -> Page[Any]:
    """The page at `cursor` of several lists read as one, newest first: a bounded stretch of each, whatever their size.

    Each is a query with its order, an instant and then an id, both descending. A row that stands in two of them is one.
    Raises Malformed for a bad cursor."""
    found: dict[tuple[Any, ...], Any] = {}
    back = begun = False
    for query, order in sources:
        stretch, back, begun = placed(query, order, cursor, purpose=purpose)
        for row in db.session.scalars(stretch.limit(size + 1)):
            found[(*_place(row, order), type(row).__name__)] = row
    places = sorted(found, reverse=not back)
    more, places = len(places) > size, places[:size]
    if back:
        places.reverse()
    at = {id(found[place]): list(place[:-1]) for place in places}
    rows = [found[place] for place in places]
    return _cut(rows, lambda row: at[id(row)], more=more, back=back, begun=begun, purpose=purpose)


def _place(row: Any, order: list[Any]) -> list[Any]:
    """Where a row stands in its order."""
    return [getattr(row, _column(part)[0].key or "") for part in order]


def _cut(
    rows: list[T], place: Callable[[T], list[Any]], *, more: bool, back: bool, begun: bool, purpose: str
) -> Page[T]:
    """The rows as a page, with the cursors that lead on from its ends."""

    def mark(side: str, row: T) -> str:
        return crypto.sign([side, *map(_plain, place(row))], purpose=f"cursor-{purpose}")

    onward = bool(rows) and (back or more)
    backward = bool(rows) and (more if back else begun)
    return Page(rows, mark("after", rows[-1]) if onward else None, mark("before", rows[0]) if backward else None)
