"""Databases filled with many users: made once, and used again by later runs with the same data folder."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click
import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from benchmarks.crowd import EARLIER_DAY, PLAN_COLUMNS, TABLES, draw, plan_row
from portal import create_app
from portal.clients.service import create_client
from portal.core.access import SCOPES, operator_actor
from portal.core.database import db, transaction
from portal.core.places import migrations_dir
from portal.core.settings import load
from portal.migrating import migrate

if TYPE_CHECKING:
    from pathlib import Path

# Raise it when crowd.py changes what it draws.
CROWD_VERSION: Final = 1
SPENT_SINCE: Final = f"day > '{EARLIER_DAY.isoformat()}'"
# What earlier runs left; balances stay as they are.
TIDIED: Final = {
    "usage_days": SPENT_SINCE,
    "usage_details": SPENT_SINCE,
    "usage_warnings": SPENT_SINCE,
    "kept_answers": "true",
    "refusals": "true",
    "credit_entries": "true",
}


@dataclass(frozen=True, slots=True)
class Store:
    """A database with so many users, its DATA_DIR, and the token of a client with every scope."""

    url: str
    data_dir: Path
    users: int
    token: str

    @property
    def sqlite(self) -> bool:
        """Whether it is SQLite."""
        return self.url.startswith("sqlite")

    @property
    def dsn(self) -> str:
        """Its address for the driver alone."""
        if self.sqlite:
            return str(make_url(self.url).database)
        return make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)


def prepare_sqlite(folder: Path, users: int) -> Store:
    """An SQLite database with so many users, in a folder of its own below this one."""
    data_dir = folder / f"sqlite-{users}"
    path = data_dir / "doorward.sqlite3"
    url = f"sqlite:///{path}"
    if not _is_ready(data_dir):
        shutil.rmtree(data_dir, ignore_errors=True)
        data_dir.mkdir(parents=True)
        click.echo(f"making {users:,} users in {path.name}", err=True)
        token = _begin(url, data_dir)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            _fill_sqlite(connection, users)
        _finish(data_dir, token)
    store = Store(url, data_dir, users, (data_dir / "token").read_text())
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in _tidying():
            connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return store


def prepare_postgres(folder: Path, server: str, users: int) -> Store:
    """A PostgreSQL database with so many users, on the server at this address; its DATA_DIR lies below the folder."""
    data_dir = folder / f"postgresql-{users}"
    name = f"doorward_benchmark_{users}"
    url = make_url(server).set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)
    above = make_url(server).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(above, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if not (found and _is_ready(data_dir)):
            shutil.rmtree(data_dir, ignore_errors=True)
            data_dir.mkdir(parents=True)
            drop_postgres(server, users)
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
            found = None
    store = Store(url, data_dir, users, "")
    if not found:
        click.echo(f"making {users:,} users in {name}", err=True)
        token = _begin(url, data_dir)
        with psycopg.connect(store.dsn, autocommit=True, options="-c timezone=UTC") as own:
            _fill_postgres(own, users)
        _finish(data_dir, token)
    with psycopg.connect(store.dsn, autocommit=True) as own:
        for statement in _tidying():
            own.execute(statement.encode())
        own.execute("VACUUM ANALYZE")
        own.execute("CHECKPOINT")
    return Store(url, data_dir, users, (data_dir / "token").read_text())


def drop_postgres(server: str, users: int) -> None:
    """Take the database of so many users away again."""
    above = make_url(server).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(above, autocommit=True) as connection:
        name = sql.Identifier(f"doorward_benchmark_{users}")
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def _tidying() -> list[str]:
    return [f"DELETE FROM {table} WHERE {which}" for table, which in TIDIED.items()]  # noqa: S608  # constants


def _mark() -> str:
    """What a prepared database was made by: another schema or crowd wants another one."""
    made = hashlib.sha256()
    for path in sorted((migrations_dir() / "versions").glob("*.py")):
        made.update(path.read_bytes())
    return f"{CROWD_VERSION} {made.hexdigest()}"


def _is_ready(data_dir: Path) -> bool:
    note = data_dir / "made-by"
    return note.exists() and note.read_text() == _mark()


def _begin(url: str, data_dir: Path) -> str:
    """The tables, and a client; answers its token."""
    app = create_app(
        load({}, folder=data_dir, data_dir=data_dir, database_url=url, log_level="error", db_timeout_s=120)
    )
    migrate(app)
    with app.app_context():
        try:
            with transaction():
                _, token = create_client(operator_actor(), name="benchmark", scopes=list(SCOPES))
        finally:
            db.session.remove()
            db.engine.dispose()
    return token


def _finish(data_dir: Path, token: str) -> None:
    note = data_dir / "token"
    note.touch(mode=0o600)
    note.write_text(token)
    (data_dir / "made-by").write_text(_mark())


def _fill_sqlite(connection: sqlite3.Connection, users: int) -> None:
    """Without indexes and triggers, which are made afterwards; without care, for it is begun anew if it fails."""
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "foreign_keys=OFF", "cache_size=-1048576"):
        connection.execute(f"PRAGMA {pragma}")
    places = ", ".join("?" * len(TABLES))
    kept = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL "  # noqa: S608  # question marks only
        f"AND tbl_name IN ({places})",
        list(TABLES),
    ).fetchall()
    connection.execute("BEGIN")
    for kind, name, _ in kept:
        connection.execute(f"DROP {kind} {name}")
    connection.execute(_insertion("plans", PLAN_COLUMNS), plan_row())
    for rows in draw(users):
        for table, columns in TABLES.items():
            connection.executemany(_insertion(table, columns), rows[table])
    for _, _, text in kept:
        connection.execute(text)
    connection.execute("INSERT INTO account_search (account_search) VALUES ('rebuild')")
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")


def _insertion(table: str, columns: list[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  # names of our own


def _fill_postgres(connection: psycopg.Connection, users: int) -> None:
    """By COPY, without the indexes that no constraint needs; those are made afterwards."""
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute("SET session_replication_role = replica")
    connection.execute("SET synchronous_commit = off")
    connection.execute("SET maintenance_work_mem = '512MB'")
    kept = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = ANY(%s) "
        "AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        (list(TABLES),),
    ).fetchall()
    with connection.transaction():
        for name, _ in kept:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        with connection.cursor() as cursor:
            cursor.execute(_insertion("plans", PLAN_COLUMNS).replace("?", "%s").encode(), plan_row())
            for rows in draw(users):
                for table, columns in TABLES.items():
                    into = sql.SQL("COPY {} ({}) FROM STDIN").format(
                        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
                    )
                    with cursor.copy(into) as copy:
                        for row in rows[table]:
                            copy.write_row(row)
        for _, definition in kept:
            connection.execute(definition.encode())
    connection.execute("VACUUM ANALYZE")
