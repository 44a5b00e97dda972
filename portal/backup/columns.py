"""The tables of the database at hand, whatever its revision, and their values as both databases can read them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import inspect

from portal.core.database import dialect_name
from portal.core.packing import unpack_text

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Kept by Alembic, by the index of words, or by one host for itself: not of the backup.
LEFT_OUT: Final = {"alembic_version", "job_locks", "spool_positions"}
KEYS: Final = "data_keys"
_SEARCH: Final = ("account_search", "message_search")
_UUID = re.compile(r"[0-9a-f]{32}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_SHAPES: Final[dict[str, re.Pattern[str]]] = {"uuid": _UUID, "instant": _INSTANT, "date": _DATE, "bytes": _HEX}
# A declared type of SQLite, a data type of PostgreSQL: the kind of value.
_SQLITE = {
    "CHAR": "uuid",
    "VARCHAR": "text",
    "TEXT": "text",
    "DATETIME": "instant",
    "DATE": "date",
    "INTEGER": "number",
    "BIGINT": "number",
    "BOOLEAN": "truth",
    "JSON": "json",
    "BLOB": "bytes",
}
_POSTGRES = {
    "uuid": "uuid",
    "character varying": "text",
    "text": "text",
    "timestamp with time zone": "instant",
    "date": "date",
    "integer": "number",
    "bigint": "number",
    "boolean": "truth",
    "json": "json",
    "jsonb": "json",
    "bytea": "bytes",
}
KINDS: Final = frozenset(_SQLITE.values())


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns by name with the kind of each, and by which columns its rows are put in order."""

    name: str
    columns: dict[str, str]
    order: tuple[str, ...]


def read_tables(connection: Connection) -> list[Table]:
    """Every table that holds rows of ours, what is pointed at before what points at it.

    ValueError for a column of a type that no backup can hold: a migration brought a new one.
    """
    postgres = dialect_name() == "postgresql"
    inspector = inspect(connection)
    named = [name for name, _ in inspector.get_sorted_table_and_fkc_names() if name]
    tables = []
    for name in named:
        if name in LEFT_OUT or name.startswith(_SEARCH):
            continue
        types = _postgres_types(connection, name) if postgres else _sqlite_types(connection, name)
        kinds = {column: (_POSTGRES if postgres else _SQLITE).get(declared) for column, declared in types.items()}
        columns = {column: kind for column, kind in sorted(kinds.items()) if kind}
        if unknown := kinds.keys() - columns.keys():
            raise ValueError(f"{name}: {sorted(unknown)}")
        keys = inspector.get_pk_constraint(name)["constrained_columns"]
        tables.append(Table(name, columns, tuple(sorted(keys))))
    return tables


def _sqlite_types(connection: Connection, table: str) -> dict[str, str]:
    rows = connection.exec_driver_sql(f'PRAGMA table_info("{table}")').all()
    return {row[1]: row[2].partition("(")[0] for row in rows}


def _postgres_types(connection: Connection, table: str) -> dict[str, str]:
    rows = connection.exec_driver_sql(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name = %s",
        (table,),
    ).all()
    return {row[0]: row[1] for row in rows}


Turn = Callable[[Any], Any]


def read_value(kind: str) -> Turn:
    """What a value becomes in a backup, from how the database at hand gives it (PostgreSQL: the text of COPY)."""
    turns: dict[str, Turn] = {"truth": bool, "bytes": bytes.hex, "json": unpack_text}
    if dialect_name() == "postgresql":
        turns = {"number": int, "truth": "t".__eq__, "uuid": _plain, "instant": _utc, "bytes": _digits}
    return turns.get(kind, _same)


def write_value(kind: str) -> Turn:
    """What a value of a backup becomes for the database at hand. ValueError when it is not of its kind."""
    wanted: type = {"number": int, "truth": bool}.get(kind, str)
    shape = _SHAPES.get(kind)
    turns: dict[str, Turn] = {"truth": int, "bytes": bytes.fromhex}
    if dialect_name() == "postgresql":
        turns = {"instant": lambda text: f"{text}+00", "bytes": bytes.fromhex}
    turn = turns.get(kind, _same)

    def write(value: Any) -> Any:
        if type(value) is not wanted or (shape and not shape.fullmatch(str(value))):
            raise ValueError(kind)
        return turn(value)

    return write


def _same(value: Any) -> Any:
    return value


def _plain(text: str) -> str:
    return text.replace("-", "")


def _utc(text: str) -> str:
    moment, _, fraction = text.removesuffix("+00").partition(".")
    return f"{moment}.{fraction:0<6}"


def _digits(text: str) -> str:
    return text.removeprefix("\\x")
