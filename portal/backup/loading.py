"""Putting the rows of a backup into a database that nobody serves yet, made for it at the backup's own revision."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from psycopg import Error as PostgresError
from sqlalchemy import text

from portal.backup.archive import BackupRefused
from portal.backup.columns import Table, read_tables, write_value
from portal.core.database import db, dialect_name, writing_connection

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from portal.backup.archive import Archive, Part


def load_rows(archive: Archive) -> int:
    """Replace all rows of this database by those of the backup, in the transaction at hand; answers how many.

    Raises BackupRefused when its tables are not those of this database, or a value is not of its kind.
    """
    tables = read_tables(db.session.connection())
    known = {table.name for table in tables}
    if strange := [part.table for part in archive.manifest.parts if part.table not in known]:
        raise BackupRefused(f"{archive.path.name}: holds a table {strange[0]} that its revision does not have")
    _wait_long()
    for table in reversed(tables):
        db.session.execute(text(f'DELETE FROM "{table.name}"'))  # noqa: S608  # a name of our schema
    return sum(load_part(archive, table) for table in tables)


def load_part(archive: Archive, table: Table, *, only: Iterable[str] | None = None) -> int:
    """Insert the rows of a table; answers how many. `only`: those whose first key is one of these."""
    part = archive.manifest.part(table.name)
    if part is None:
        return 0
    if dict(part.columns) != table.columns:
        raise BackupRefused(f"{archive.path.name}: the columns of {table.name} are not those of its revision")
    chosen = None if only is None else (list(part.columns).index(table.order[0]), set(only))
    try:
        # Closed here: a row that is refused would leave the file open as long as anybody holds the error.
        with closing(archive.rows(part)) as read, closing(_values(archive, part, read, chosen)) as rows:
            count = _copy(table, rows) if dialect_name() == "postgresql" else _insert(table, rows)
    except (PostgresError, _sqlite_error()) as error:
        words = f"{archive.path.name}: a row of {table.name} cannot be stored ({type(error).__name__})"
        raise BackupRefused(words) from error
    _set_sequences(table)
    return count


def _sqlite_error() -> type[Exception]:
    error: type[Exception] = db.engine.dialect.dbapi.Error  # type: ignore[union-attr]  # there is a driver
    return error


def _wait_long() -> None:
    if dialect_name() == "postgresql":
        writing_connection().execute("SET LOCAL statement_timeout = 0")


def _values(
    archive: Archive, part: Part, read: Iterable[list[Any]], only: tuple[int, set[str]] | None
) -> Generator[list[Any], None, None]:
    writers = [write_value(kind) for kind in part.columns.values()]
    for row in read:
        if only is not None and row[only[0]] not in only[1]:
            continue
        try:
            yield [None if value is None else write(value) for write, value in zip(writers, row, strict=True)]
        except ValueError as error:
            raise BackupRefused(f"{archive.path.name}: {part.table} holds a value that is no {error}") from None


def _names(table: Table) -> str:
    return ", ".join(f'"{name}"' for name in table.columns)


def _copy(table: Table, rows: Iterator[list[Any]]) -> int:
    count = 0
    statement = f'COPY "{table.name}" ({_names(table)}) FROM STDIN'
    with writing_connection().cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def _insert(table: Table, rows: Iterator[list[Any]]) -> int:
    connection = writing_connection()
    places = ", ".join("?" * len(table.columns))
    statement = f'INSERT INTO "{table.name}" ({_names(table)}) VALUES ({places})'  # noqa: S608  # names of our schema
    return int(connection.executemany(statement, rows).rowcount)  # takes row by row, so that memory stays flat


def _set_sequences(table: Table) -> None:
    """Have PostgreSQL number on after the highest; SQLite does by itself."""
    if dialect_name() != "postgresql" or table.columns[table.order[0]] != "number":
        return
    connection, column = writing_connection(), table.order[0]
    sequence = connection.execute("SELECT pg_get_serial_sequence(%s, %s)", (table.name, column)).fetchone()[0]
    if sequence:
        highest = f'(SELECT max("{column}") FROM "{table.name}")'  # noqa: S608  # names of our schema
        connection.execute(f"SELECT setval(%s, coalesce({highest}, 1), {highest} IS NOT NULL)", (sequence,))
