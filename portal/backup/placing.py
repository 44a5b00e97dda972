"""Where a restore builds, and how what it built takes the place of what was there: whole, or not at all.

On SQLite it is a file beside the database, copied over it in one transaction; on PostgreSQL a schema of the same
database, whose tables are moved in one transaction. Until then nothing of the old has changed. What a killed restore
leaves of it has a fixed name, and the next restore begins by taking it away.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event, inspect, text

from portal.backup.archive import BackupRefused
from portal.core import clock
from portal.core.database import Base, db
from portal.core.revisions import known_revisions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from portal.core.settings import Settings

SCHEMA: Final = "doorward_restore"
_VERSION: Final = "alembic_version"
_BUSY: Final = "another restore is at work on this database; nothing was changed"
_LOCK: Final = 0x446F6F72776172


def check_revision(revision: str, version: str) -> None:
    """Raise BackupRefused when this Doorward does not know the revision: a newer one made the backup."""
    if revision not in known_revisions():
        raise BackupRefused(
            f"the backup is of a newer Doorward ({version[:40]}, revision {revision}); nothing was changed"
        )


def make_private(settings: Settings) -> None:
    """SQLite: make the file if there is none, for its owner alone. Raises BackupRefused."""
    if not settings.sqlite:
        return
    path = _file_of(settings)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise BackupRefused(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def draft_of(settings: Settings) -> Iterator[Settings]:
    """Settings of an empty database to build in, which is gone again afterwards.

    Raises BackupRefused while another restore builds there.
    """
    if not settings.sqlite:
        with _sole_restore():
            yield settings
        return
    path = _file_of(settings)
    draft = path.with_name(f"{path.name}.restoring")
    try:
        held = os.open(draft, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BackupRefused(f"{draft} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupRefused(_BUSY) from None
        os.ftruncate(held, 0)
        _remove(draft, "-wal", "-shm", "-journal")
        try:
            yield settings.model_copy(update={"database_url": f"sqlite:///{draft}"})
        finally:
            _remove(draft, "", "-wal", "-shm", "-journal")
    finally:
        os.close(held)


def _remove(path: Path, *endings: str) -> None:
    for ending in endings:
        path.with_name(path.name + ending).unlink(missing_ok=True)


@contextmanager
def _sole_restore() -> Iterator[None]:
    """PostgreSQL: be the only one who builds, for as long as the block runs."""
    with db.engine.connect() as connection:
        if not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LOCK})").scalar_one():
            raise BackupRefused(_BUSY)
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_LOCK})")


def make_schema() -> None:
    """PostgreSQL: an empty schema to build in, in the transaction at hand. The extension stays where all find it."""
    for statement in (
        "CREATE EXTENSION IF NOT EXISTS pg_trgm",
        f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE",
        f"CREATE SCHEMA {SCHEMA}",
        # Alembic asks for its table wherever it can be seen; the one of the database in use is not to be found.
        f"CREATE TABLE {SCHEMA}.{_VERSION} (version_num varchar(32) NOT NULL, "
        f"CONSTRAINT {_VERSION}_pkc PRIMARY KEY (version_num))",
    ):
        db.session.execute(text(statement))


def drop_schema() -> None:
    """PostgreSQL: take away what was being built, in the transaction at hand."""
    db.session.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))


def build_in_schema(engine: Engine) -> None:
    """Have every connection of this engine see the schema we build in before the one in use."""

    def on_connect(connection: Any, _entry: Any) -> None:
        connection.execute(f"SET search_path = {SCHEMA}, public")

    event.listen(engine, "connect", on_connect)


def move_schema() -> None:
    """PostgreSQL: put what was built into the place of what was there, in the transaction at hand."""
    connection = db.session.connection()
    here = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    inspector = inspect(connection)
    built = inspector.get_table_names(schema=SCHEMA)
    known = {*Base.metadata.tables, *built}
    old = [name for name in inspector.get_table_names(schema=here) if name in known]
    if missing := Base.metadata.tables.keys() - set(built):
        raise BackupRefused(f"what was built lacks {min(missing)}; nothing was changed")
    db.session.execute(text("SET LOCAL statement_timeout = 0"))
    if old:
        db.session.execute(text("DROP TABLE " + ", ".join(f'"{here}"."{name}"' for name in old)))
    for name in built:
        db.session.execute(text(f'ALTER TABLE {SCHEMA}."{name}" SET SCHEMA "{here}"'))
    db.session.execute(text(f"DROP SCHEMA {SCHEMA}"))


def copy_file(draft: Settings, settings: Settings) -> None:
    """SQLite: copy what was built over the database, as one of its own transactions.

    Raises BackupRefused when somebody holds the database for longer than DB_TIMEOUT_S, or its disk is full.
    """
    until = clock.monotonic() + settings.db_timeout_s

    def on_step(status: int, _left: int, _total: int) -> None:
        if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} and clock.monotonic() > until:
            raise BackupRefused("the database is in use: stop the server; nothing was changed")

    source, target = sqlite3.connect(_file_of(draft)), sqlite3.connect(_file_of(settings))
    try:
        source.backup(target, progress=on_step)
    except sqlite3.Error as error:
        raise BackupRefused(f"the database cannot be written: {error}; nothing was changed") from error
    finally:
        source.close()
        target.close()


def _file_of(settings: Settings) -> Path:
    return Path(settings.database_url.removeprefix("sqlite:///"))
