"""What is held about somebody, as lists to hand over: each feature names its own, a batch at a time is read.

Every column of a table is in, but for those that a feature hides: secrets, digests, and what only steers the program.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import inspect as inspect_table
from sqlalchemy import literal, select, tuple_

from portal.core.database import db, transaction
from portal.core.tables import compact_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import ColumnElement

    from portal.core.tables import Cell

BATCH = 500
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One list: the name of its files, the tables it tells of, its columns, and its rows in batches."""

    name: str
    tables: tuple[str, ...]
    columns: tuple[str, ...]
    batches: Callable[[], Iterator[list[Row]]]


def part_of(
    name: str,
    table: Any,
    theirs: ColumnElement[bool],
    *,
    hide: Iterable[str] = (),
    also: dict[str, Callable[[Any], Any]] | None = None,
) -> Part:
    """The rows of a mapped class that `theirs` picks, by their primary key, without the columns of `hide`.

    `also` adds columns, or puts others in their place, from the whole row.
    """
    mapper, hidden, made = inspect_table(table), set(hide), also or {}
    shown = [column.key for column in mapper.column_attrs if column.key not in hidden]
    tables = tuple(str(one.name) for one in mapper.tables)

    def plain(row: Any) -> Row:
        return {key: getattr(row, key) for key in shown} | {key: make(row) for key, make in made.items()}

    return Part(name, tables, tuple(dict.fromkeys([*shown, *made])), lambda: _batches(table, theirs, plain))


def _batches(table: Any, theirs: ColumnElement[bool], plain: Callable[[Any], Row]) -> Iterator[list[Row]]:
    """Between two of them there is no transaction and no connection held."""
    key = inspect_table(table).primary_key
    names = [inspect_table(table).get_property_by_column(column).key for column in key]
    last: tuple[Any, ...] | None = None
    while True:
        query = select(table).where(theirs).order_by(*key).limit(BATCH)
        if last is not None:
            there = [literal(value, column.type) for value, column in zip(last, key, strict=True)]
            query = query.where(tuple_(*key) > tuple_(*there))
        with transaction():
            found = db.session.scalars(query.execution_options(populate_existing=True)).all()
            rows = [plain(row) for row in found]
            last = tuple(getattr(found[-1], name) for name in names) if found else None
        if rows:
            yield rows
        if len(rows) < BATCH:
            return


def as_json(value: Any) -> Any:
    """A value as JSON keeps it: instants and ids as texts."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def as_cell(value: Any) -> Cell:
    """A value in one cell of CSV: what has parts of its own as JSON."""
    told = as_json(value)
    if isinstance(told, bool):
        return "true" if told else "false"
    return compact_json(told).decode() if isinstance(told, dict | list | tuple) else told
