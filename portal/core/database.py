"""The database: one session, one commit per request, the same manners on SQLite and PostgreSQL.

Connections stand in autocommit. The first statement that writes opens the transaction (`BEGIN IMMEDIATE`
on SQLite), so reads and slow work before it hold no lock. What was read earlier is guarded by a
WHERE or the row's version.
"""

from __future__ import annotations

import sqlite3
import sys
import uuid
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, cast

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, DateTime, Engine, LargeBinary, MetaData, TypeDecorator, Uuid, event
from sqlalchemy.orm import DeclarativeBase, Session, registry
from sqlalchemy.pool import ConnectionPoolEntry

from portal.core import settings as current_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect

    from portal.core.settings import Settings

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Instant(TypeDecorator[datetime]):
    """An aware instant in UTC. SQLite keeps it without a zone, so the zone is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse an instant without a zone; write UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The declarative base of every record."""

    registry = registry(
        metadata=MetaData(naming_convention=NAMES),
        type_annotation_map={
            datetime: Instant,
            uuid.UUID: Uuid,
            bytes: LargeBinary,
            dict[str, Any]: JSON,
            list[str]: JSON,
        },
    )


class Database(SQLAlchemy):
    """Flask-SQLAlchemy, with nothing committed behind our back."""


db = Database(model_class=Base, disable_autonaming=True, session_options={"expire_on_commit": False})

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model

__all__ = ["Base", "Instant", "Model", "db", "in_transaction", "raw_connection", "transaction", "writing_connection"]


class SqliteConnection(sqlite3.Connection):
    """A connection that may remember what was read on it: `proved` holds facts that stay true until another connection
    commits. None where nobody looks after that."""

    proved: set[tuple[Any, ...]] | None = None


# Connections beside one a thread: eight for the hot statements, the rest for jobs.
SPARE = 12
_READS = ("SELECT", "PRAGMA", "EXPLAIN", "SHOW", "SET", "BEGIN")


def engine_options(settings: Settings) -> dict[str, Any]:
    """Options of the engine for these settings."""
    if settings.sqlite:
        return {
            "connect_args": {
                "timeout": settings.db_timeout_s,
                "isolation_level": None,
                "check_same_thread": False,
                "factory": SqliteConnection,
            },
            "pool_size": settings.db_pool_size or settings.threads + SPARE,
            "max_overflow": 0 if settings.db_pool_size else settings.threads,
            "pool_timeout": settings.db_timeout_s,
            # Errors are logged and shown in job runs; what people typed stays out of them.
            "hide_parameters": True,
        }
    milliseconds = settings.db_timeout_s * 1000
    return {
        "connect_args": {
            "autocommit": True,
            "connect_timeout": settings.db_timeout_s,
            "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} -c timezone=UTC",
        },
        "pool_size": settings.db_pool_size or settings.threads + SPARE,
        # Each thread may hold one connection of the session and one for a hot statement.
        "max_overflow": 0 if settings.db_pool_size else settings.threads,
        "pool_timeout": settings.db_timeout_s,
        "pool_pre_ping": True,
        "hide_parameters": True,
    }


def prepare_engine(engine: Engine, settings: Settings) -> None:
    """Give the engine the manners described at the top of this file."""
    sync = "FULL" if settings.durability == "power" else "NORMAL"

    def on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        if engine.dialect.name == "sqlite":
            cursor = connection.cursor()
            for pragma in (
                "journal_mode=WAL",
                f"synchronous={sync}",
                "foreign_keys=ON",
                f"busy_timeout={settings.db_timeout_s * 1000}",
                "temp_store=MEMORY",
                "cache_size=-16384",
                "wal_autocheckpoint=4000",
                "journal_size_limit=67108864",
            ):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

    def before_execute(
        _connection: Any, cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool
    ) -> None:
        if not statement.lstrip().upper().startswith(_READS) and not in_raw_transaction(cursor.connection):
            begin(cursor.connection)

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "before_cursor_execute", before_execute)


def in_raw_transaction(connection: Any) -> bool:
    """Whether this DBAPI connection is inside a transaction."""
    if hasattr(connection, "in_transaction"):
        return bool(connection.in_transaction)
    return bool(connection.info.transaction_status != 0)


def begin(connection: Any, *, hurried: bool = False) -> None:
    """Open a writing transaction on a DBAPI connection; a hurried one waits for no sync on PostgreSQL either."""
    if hasattr(connection, "in_transaction"):
        connection.execute("BEGIN IMMEDIATE")
    else:
        connection.execute("BEGIN; SET LOCAL synchronous_commit = off" if hurried else "BEGIN")


def proved_on(connection: Any) -> set[tuple[Any, ...]] | None:
    """The facts that need not be read again on this DBAPI connection; None where each must be read."""
    return getattr(connection, "proved", None)


def in_transaction() -> bool:
    """Whether the session of this context is inside a database transaction: nothing slow may run then."""
    session: Session = db.session()
    return session.in_transaction() and in_raw_transaction(raw_connection())


@contextmanager
def transaction() -> Iterator[None]:
    """Commit once at the end of the block, or keep nothing of it. The one frame of requests, jobs and commands."""
    try:
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise


def raw_connection() -> Any:
    """The DBAPI connection of this context's session, for the few statements that must not cost more than themselves.

    The session's own, so that no request ever holds two connections and starves the pool.
    """
    session: Session = db.session()
    raw = session.connection().connection.dbapi_connection
    if raw is None:
        raise RuntimeError("the session has lost its connection")
    return raw


def writing_connection() -> Any:
    """The session's own DBAPI connection inside its transaction, with all that waits in the session written first.

    For raw statements that belong to the act of this request; the frame commits them with it.
    """
    db.session.flush()
    raw = raw_connection()
    if not in_raw_transaction(raw):
        begin(raw)
    return raw


def dialect_name() -> str:
    """`sqlite` or `postgresql`."""
    return str(db.engine.dialect.name)


def begins_with(column: Any, start: str) -> ColumnElement[bool]:
    """The condition that a text begins so, in the words that the index of the database at hand understands.

    PostgreSQL has an index for LIKE; SQLite's LIKE folds letters, and so walks all rows past an index that does not.
    """
    if dialect_name() == "postgresql":
        return cast("ColumnElement[bool]", column.startswith(start, autoescape=True))
    return cast("ColumnElement[bool]", column.between(start, start + chr(sys.maxunicode)))


def raw_id(value: uuid.UUID) -> Any:
    """A UUID as a raw statement wants it: SQLite keeps 32 hex digits."""
    return value.hex if current_settings.current().sqlite else value


def id_of_raw(value: Any) -> uuid.UUID:
    """A UUID as a raw statement gave it."""
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


def raw_instant(value: datetime) -> Any:
    """An instant as a raw statement wants it."""
    if current_settings.current().sqlite:
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    return value


def instant_of_raw(value: Any) -> datetime | None:
    """An instant as a raw statement gave it."""
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def raw_day(value: date) -> Any:
    """A date as a raw statement wants it."""
    return value.isoformat() if current_settings.current().sqlite else value
