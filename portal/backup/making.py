"""Making a backup while everything goes on: all tables as they were at one moment."""

from __future__ import annotations

import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from portal.audit import events
from portal.audit.record import record
from portal.backup.archive import FORMAT, Manifest, Part, new_file, write_manifest, write_part
from portal.backup.columns import KEYS, Table, read_tables, read_value
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db, dialect_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from portal.core.actor import Actor


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made: the file, that of the keys, and what the first says of itself."""

    file: Path
    keys: Path
    manifest: Manifest
    key_rows: int


def key_file(path: Path) -> Path:
    """Where the data keys of a backup go."""
    return path.with_name(f"{path.name}.keys")


@needs(Capability.BACKUP)
def make_backup(actor: Actor, path: Path, *, version: str, spool_waiting: int = 0) -> Made:
    """Write all rows to `path`, and the data keys to a file of their own beside it. Both appear whole or not at all.

    `spool_waiting`: bytes of records that the spool still holds; they are not of the backup.
    BackupRefused when a file of that name is there already or the folder cannot be written to.
    """
    with new_file(path) as file, new_file(key_file(path)) as keys, _snapshot() as connection:
        said = {
            "format": FORMAT,
            "version": version,
            "revision": connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one(),
            "database": dialect_name(),
            "made_at": clock.now().isoformat(),
            "spool_waiting": spool_waiting,
        }
        tables = read_tables(connection)
        manifest = _write(connection, file, [one for one in tables if one.name != KEYS], said)
        kept = _write(connection, keys, [one for one in tables if one.name == KEYS], said)
    record(actor, events.BACKUP_MADE, None, {"rows": manifest.rows})
    return Made(path, key_file(path), manifest, kept.rows)


@contextmanager
def _snapshot() -> Iterator[Connection]:
    """A connection that sees one moment only, however long it reads; those who write do not wait for it."""
    with db.engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        if dialect_name() == "postgresql":
            raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            raw.execute("SET LOCAL statement_timeout = 0")
        else:
            raw.execute("BEGIN")
        try:
            yield connection
        finally:
            raw.rollback()


def _write(connection: Connection, file: IO[bytes], tables: list[Table], said: dict[str, Any]) -> Manifest:
    parts = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for table in tables:
            written = write_part(archive, table.name, _rows(connection, table))
            parts.append(Part(table.name, table.columns, written.rows, written.bytes, written.sha256))
        manifest = Manifest(**said, parts=parts)
        write_manifest(archive, manifest)
    return manifest


def _rows(connection: Connection, table: Table) -> Iterator[list[Any]]:
    """The rows of a table in the order of its key, each value as a backup holds it."""
    readers = [read_value(kind) for kind in table.columns.values()]
    for row in _raw_rows(connection, table):
        yield [None if value is None else read(value) for read, value in zip(readers, row, strict=True)]


def _raw_rows(connection: Connection, table: Table) -> Iterator[Any]:
    raw: Any = connection.connection.dbapi_connection
    postgres = dialect_name() == "postgresql"
    # Texts in the order of their bytes, as on SQLite, so that both databases make the same file of the same rows.
    order = [
        f'"{name}" COLLATE "C"' if postgres and table.columns[name] == "text" else f'"{name}"' for name in table.order
    ]
    names = ", ".join(f'"{name}"' for name in table.columns)
    query = f'SELECT {names} FROM "{table.name}" ORDER BY {", ".join(order)}'  # noqa: S608  # names from the schema
    if postgres:
        with raw.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT") as copy:
            yield from copy.rows()
    else:
        yield from raw.execute(query)
