"""Databases filled with logs: made once, and used again by later runs with the same data folder."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
from typing import TYPE_CHECKING, Final

import click
import psycopg
from psycopg import sql
from sqlalchemy import select
from sqlalchemy.engine import make_url

from benchmarks.crowd import PLAN_COLUMNS, draw, plan_row
from benchmarks.crowd import TABLES as CROWD
from benchmarks.stores import Store
from benchmarks.talk import MODELS, TABLES, draw_logs, others_of
from portal import create_app
from portal.clients.models import ServiceClient
from portal.clients.service import create_client
from portal.core.access import SCOPES, operator_actor
from portal.core.database import db, transaction
from portal.core.packing import pack_text
from portal.core.places import migrations_dir
from portal.core.settings import load
from portal.migrating import migrate

if TYPE_CHECKING:
    from pathlib import Path

# Raise it when talk.py changes what it draws.
TALK_VERSION: Final = 2
SEARCHED: Final = "INSERT INTO message_search (rowid, words, owner) VALUES (?, ?, ?)"


def talk_sqlite(folder: Path, logs: int) -> Store:
    """An SQLite database with so many logs, in a folder of its own below this one."""
    data_dir = folder / f"talk-sqlite-{logs}"
    path = data_dir / "doorward.sqlite3"
    url = f"sqlite:///{path}"
    if not _is_ready(data_dir):
        shutil.rmtree(data_dir, ignore_errors=True)
        data_dir.mkdir(parents=True)
        click.echo(f"making {logs:,} logs in {path.name}", err=True)
        client_id = _begin(url, data_dir)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            _fill_sqlite(connection, logs, client_id)
        (data_dir / "made-by").write_text(_mark())
    return Store(url, data_dir, logs, "")


def talk_postgres(folder: Path, server: str, logs: int) -> Store:
    """A PostgreSQL database with so many logs, on the server at this address; its DATA_DIR lies below the folder."""
    data_dir = folder / f"talk-postgresql-{logs}"
    name = f"doorward_talk_{logs}"
    url = make_url(server).set(drivername="postgresql+psycopg", database=name).render_as_string(hide_password=False)
    above = make_url(server).set(drivername="postgresql").render_as_string(hide_password=False)
    store = Store(url, data_dir, logs, "")
    with psycopg.connect(above, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if found and _is_ready(data_dir):
            return store
        shutil.rmtree(data_dir, ignore_errors=True)
        data_dir.mkdir(parents=True)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    click.echo(f"making {logs:,} logs in {name}", err=True)
    client_id = _begin(url, data_dir)
    with psycopg.connect(store.dsn, autocommit=True, options="-c timezone=UTC") as own:
        _fill_postgres(own, logs, client_id)
    (data_dir / "made-by").write_text(_mark())
    return store


def drop_talk(server: str, logs: int) -> None:
    """Take the PostgreSQL database of so many logs away again."""
    above = make_url(server).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(above, autocommit=True) as connection:
        name = sql.Identifier(f"doorward_talk_{logs}")
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def _mark() -> str:
    """What a prepared database was made by: another schema or other talk wants another one."""
    made = hashlib.sha256()
    for path in sorted((migrations_dir() / "versions").glob("*.py")):
        made.update(path.read_bytes())
    return f"{TALK_VERSION} {made.hexdigest()}"


def _is_ready(data_dir: Path) -> bool:
    note = data_dir / "made-by"
    return note.exists() and note.read_text() == _mark()


def _begin(url: str, data_dir: Path) -> str:
    """The tables, and a client that pushed it all; answers its id in hex."""
    app = create_app(
        load({}, folder=data_dir, data_dir=data_dir, database_url=url, log_level="error", db_timeout_s=120)
    )
    migrate(app)
    with app.app_context():
        try:
            with transaction():
                create_client(operator_actor(), name="benchmark", scopes=list(SCOPES))
            return db.session.scalars(select(ServiceClient.id)).one().hex
        finally:
            db.session.remove()
            db.engine.dispose()


def _fill_sqlite(connection: sqlite3.Connection, logs: int, client_id: str) -> None:
    """Without care, for it is begun anew if it fails."""
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "foreign_keys=OFF", "cache_size=-1048576"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    connection.execute(_insertion("plans", PLAN_COLUMNS), plan_row())
    for people in draw(others_of(logs) + 3):
        for table, columns in CROWD.items():
            connection.executemany(_insertion(table, columns), people[table])
    connection.executemany("INSERT INTO message_models (id, name) VALUES (?, ?)", list(enumerate(MODELS, 1)))
    for rows in draw_logs(logs, client_id):
        for table, columns in TABLES.items():
            connection.executemany(_insertion(table, columns), _packed(table, rows[table]))
        connection.executemany(SEARCHED, rows["words"])
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")


def _packed(table: str, rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """The rows as SQLite keeps them: what was said is packed."""
    if table != "message_contents":
        return rows
    return [(number, user_id, pack_text(str(said))) for number, user_id, said in rows]


def _insertion(table: str, columns: list[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  # names of our own


def _fill_postgres(connection: psycopg.Connection, logs: int, client_id: str) -> None:
    """By COPY, without the index of the words, which is made afterwards."""
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute("SET session_replication_role = replica")
    connection.execute("SET synchronous_commit = off")
    connection.execute("SET maintenance_work_mem = '512MB'")
    kept = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() "
        "AND tablename = 'message_contents' AND indexname LIKE 'ix_search_%'"
    ).fetchall()
    with connection.transaction():
        for name, _ in kept:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        with connection.cursor() as cursor:
            cursor.execute(_insertion("plans", PLAN_COLUMNS).replace("?", "%s").encode(), plan_row())
            for people in draw(others_of(logs) + 3):
                for table, columns in CROWD.items():
                    _copy(cursor, table, columns, people[table])
            _copy(cursor, "message_models", ["id", "name"], list(enumerate(MODELS, 1)))
            for rows in draw_logs(logs, client_id):
                for table, columns in TABLES.items():
                    _copy(cursor, table, columns, rows[table])
        for _, definition in kept:
            connection.execute(definition.encode())
    connection.execute("VACUUM ANALYZE")


def _copy(cursor: psycopg.Cursor, table: str, columns: list[str], rows: list[tuple[object, ...]]) -> None:
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with cursor.copy(into) as copy:
        for row in rows:
            copy.write_row(row)
