"""What the database and the disk give to whoever does nothing else: the bounds of a push and of its flush."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, Final

import orjson
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from benchmarks.crowd import written
from benchmarks.pushes import TURNS, draw_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.stores import Store

CHUNK: Final = 1_000
DRAWN: Final = 1_000
NOW: Final = datetime(2026, 11, 1, tzinfo=UTC)
OWNERS: Final = 200
Row = tuple[Any, ...]
# Table → its columns, and what PostgreSQL calls their types.
PLAIN: Final = ("raw_words", ("number", "id", "messages"), ("int8", "uuid", "text"))
TABLES: Final = (
    (
        "conversations",
        ("id", "user_id", "client_id", "source_id", "title", "started_at", "last_at", "exchanges"),
        ("uuid", "uuid", "uuid", "varchar", "varchar", "timestamptz", "timestamptz", "int4"),
    ),
    (
        "message_logs",
        (
            *("number", "id", "client_id", "source_id", "digest", "user_id", "conversation_id", "prompt_tokens"),
            *("completion_tokens", "total_tokens", "latency_ms", "at", "received_at"),
        ),
        (
            *("int8", "uuid", "uuid", "varchar", "bytea", "uuid", "uuid", "int4"),
            *("int4", "int8", "int4", "timestamptz", "timestamptz"),
        ),
    ),
    ("message_contents", ("number", "user_id", "messages"), ("int8", "uuid", "jsonb")),
)
SEARCH: Final = ("message_search", ("rowid", "words", "owner"), ())


@dataclass(frozen=True, slots=True)
class Limits:
    """Rows a second: the words alone in one table; the rows of the product with every index and the search; lines of
    the spool, written and synced one by one."""

    plain: float
    indexed: float
    appended: float


def measure_limits(store: Store, folder: Path, count: int, *, power: bool) -> Limits:
    """Write so many rows each way, a transaction for each thousand, in tables that go again."""
    rows = draw_rows(count, sqlite=store.sqlite)
    with contextlib.ExitStack() as stack:
        make = _in_sqlite if store.sqlite else _in_postgres
        write = stack.enter_context(make(store, folder, power=power))
        plain, indexed = _rate(write, [PLAIN], rows, count), _rate(write, [*TABLES, SEARCH], rows, count)
    return Limits(plain, indexed, append_rate(folder, rows["raw_words"], min(count, 2_000)))


def _rate(write: Callable[..., None], tables: Sequence[Any], rows: dict[str, list[Row]], count: int) -> float:
    chunks = [[(table, _part(rows[table[0]], table[0], first)) for table in tables] for first in range(0, count, CHUNK)]
    began = time.perf_counter()
    for chunk in chunks:
        write(chunk)
    return count / (time.perf_counter() - began)


def _part(rows: list[Row], table: str, first: int) -> list[Row]:
    share = TURNS if table == "conversations" else 1
    return rows[first // share : (first + CHUNK) // share]


def append_rate(folder: Path, rows: list[Row], count: int) -> float:
    """Lines a second, each appended to a file and synced before the next."""
    path = folder / "raw-lines"
    line = rows[0][2].encode() + b"\n"
    with path.open("ab", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(count):
            file.write(line)
            os.fdatasync(file.fileno())
        took = time.perf_counter() - began
    path.unlink()
    return count / took


def draw_rows(count: int, *, sqlite: bool) -> dict[str, list[Row]]:
    """The rows of so many records by table, with values as the driver wants them."""
    chance = Random("rows of a benchmark")  # made-up words, no secrets
    said = [draw_messages(chance) for _ in range(min(count, DRAWN))]
    texts = [orjson.dumps(messages).decode() for messages in said]
    words = ["\n".join(message["content"] for message in messages) for messages in said]
    now: Any = written(NOW) if sqlite else NOW

    def new_id() -> Any:
        made = uuid.uuid4()
        return made.hex if sqlite else made

    client, owners, talk = new_id(), [new_id() for _ in range(OWNERS)], new_id()
    rows: dict[str, list[Row]] = {table: [] for table, _, _ in (PLAIN, *TABLES, SEARCH)}
    for number in range(count):
        owner, at, own = owners[number // TURNS % OWNERS], number % len(said), new_id()
        if number % TURNS == 0:
            talk = new_id()
            rows["conversations"].append((talk, owner, client, f"c-{number}", "A talk", now, now, TURNS))
        log = (number + 1, own, client, f"l-{number}", b"0" * 16, owner, talk, 60, 260, 320, 800, now, now)
        rows["message_logs"].append(log)
        rows["message_contents"].append((number + 1, owner, texts[at]))
        rows["message_search"].append((number + 1, words[at], f"u{owner}"))
        rows["raw_words"].append((number + 1, own, texts[at]))
    return rows


@contextlib.contextmanager
def _in_sqlite(store: Store, folder: Path, *, power: bool) -> Iterator[Callable[..., None]]:
    """Writes into a database of its own, with the tables and indexes of the store's."""
    path = folder / "raw.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in ("journal_mode=WAL", f"synchronous={'FULL' if power else 'NORMAL'}", "cache_size=-16384"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE raw_words (number INTEGER PRIMARY KEY, id TEXT, messages TEXT)")
        names = [*(table for table, _, _ in TABLES), SEARCH[0]]
        with contextlib.closing(sqlite3.connect(store.dsn)) as other:
            made = other.execute(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name IN (?, ?, ?, ?) ORDER BY rowid", names
            ).fetchall()
        for (text,) in made:
            connection.execute(text)

        def write(chunk: list[tuple[Any, list[Row]]]) -> None:
            connection.execute("BEGIN IMMEDIATE")
            for (table, columns, _), rows in chunk:
                places = ", ".join("?" * len(columns))
                connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)  # noqa: S608  # our names
            connection.execute("COMMIT")

        yield write
    finally:
        connection.close()
        for left in folder.glob("raw.sqlite3*"):
            left.unlink()


@contextlib.contextmanager
def _in_postgres(store: Store, folder: Path, *, power: bool) -> Iterator[Callable[..., None]]:
    """Writes by binary COPY into tables like the store's, in its database."""
    del folder
    with psycopg.connect(store.dsn, autocommit=True) as connection:
        if not power:
            connection.execute("SET synchronous_commit = off")
        connection.execute("CREATE TABLE raw_words (number bigint PRIMARY KEY, id uuid, messages text)")
        for name, _, _ in TABLES:
            connection.execute(
                sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING INDEXES INCLUDING DEFAULTS)").format(
                    sql.Identifier(f"raw_{name}"), sql.Identifier(name)
                )
            )

        def write(chunk: list[tuple[Any, list[Row]]]) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                for (table, columns, types), rows in chunk:
                    if types:
                        _copy(cursor, table if table == PLAIN[0] else f"raw_{table}", columns, types, rows)

        try:
            yield write
        finally:
            for name in (PLAIN[0], *(f"raw_{table}" for table, _, _ in TABLES)):
                connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))


def _copy(cursor: psycopg.Cursor, table: str, columns: Sequence[str], types: Sequence[str], rows: list[Row]) -> None:
    into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with cursor.copy(into) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row((*row[:-1], Jsonb(row[-1], dumps=str)) if types[-1] == "jsonb" else row)
