"""Many rows at once, around the ORM, in the transaction at hand: executemany on SQLite, binary COPY on PostgreSQL."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import JSON, BigInteger, Column, Integer, LargeBinary, String, Table, Text, Uuid
from sqlalchemy.exc import OperationalError

from portal.core.database import Instant, raw_instant, writing_connection
from portal.core.packing import PackedJSON, pack_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from portal.core.database import Base

# What PostgreSQL calls each type of column. A larger one comes before what it is a sort of.
TYPES: tuple[tuple[Any, str], ...] = (
    (Uuid, "uuid"),
    (Instant, "timestamptz"),
    (JSON, "jsonb"),
    (PackedJSON, "jsonb"),
    (LargeBinary, "bytea"),
    (BigInteger, "int8"),
    (Integer, "int4"),
    (Text, "text"),
    (String, "varchar"),
)


def write_rows(table: type[Base], names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of these columns. JSON comes as its text. Raises what the driver raises."""
    if not rows:
        return
    here = cast("Table", table.__table__)
    connection = writing_connection()
    if isinstance(connection, psycopg.Connection):
        _copy(connection, here, tuple(names), rows)
    else:
        convert = _converters(here, tuple(names))
        connection.executemany(_insertion(here.name, tuple(names)), [_kept(row, convert) for row in rows])


def _kept(row: tuple[Any, ...], convert: list[Callable[[Any], Any] | None]) -> list[Any]:
    pairs = zip(convert, row, strict=True)
    return [value if way is None or value is None else way(value) for way, value in pairs]


@cache
def _insertion(table: str, names: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608  # our names


@cache
def _converters(table: Table, names: tuple[str, ...]) -> list[Callable[[Any], Any] | None]:
    """How SQLite keeps what it has no type for; None: as it is."""
    return [_converter(table.columns[name]) for name in names]


def _converter(column: Column[Any]) -> Callable[[Any], Any] | None:
    if isinstance(column.type, Uuid):
        return lambda value: value.hex
    if isinstance(column.type, PackedJSON):
        return pack_text
    return raw_instant if isinstance(column.type, Instant) else None


@cache
def _types(table: Table, names: tuple[str, ...]) -> list[str]:
    return [next(name for sort, name in TYPES if isinstance(table.columns[one].type, sort)) for one in names]


def _copy(connection: Any, table: Table, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    types = _types(table, names)
    jsons = [at for at, name in enumerate(types) if name == "jsonb"]
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    try:
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(_with_json(row, jsons) if jsons else row)
    except psycopg.OperationalError as error:
        if isinstance(error, psycopg.errors.ProgramLimitExceeded):
            raise
        raise OperationalError(f"COPY {table.name}", None, error) from error


def _with_json(row: tuple[Any, ...], places: list[int]) -> list[Any]:
    cells = list(row)
    for at in places:
        if cells[at] is not None:
            cells[at] = Jsonb(cells[at], dumps=_as_it_is)
    return cells


def _as_it_is(text: str) -> str:
    return text
