"""How many bytes of a database a record takes, and where they are."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg

from benchmarks.tables import laid_out
from portal.core.packing import unpack_text

if TYPE_CHECKING:
    from benchmarks.stores import Store

# At most so many times the words themselves, search included.
MUST: Final = {True: 2.0, False: 2.5}
TABLES: Final = ("conversations", "message_logs", "message_contents", "message_models", "model_days")
IN_SQLITE: Final = """SELECT d.name, sum(d.pgsize) FROM dbstat AS d LEFT JOIN sqlite_master AS m ON m.name = d.name
    WHERE coalesce(m.tbl_name, d.name) IN (SELECT value FROM json_each(?)) OR d.name LIKE 'message_search%'
    GROUP BY d.name ORDER BY 2 DESC"""
IN_POSTGRES: Final = """SELECT c.relname, pg_relation_size(c.oid) FROM pg_class c
    LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.oid = i.indrelid
    WHERE coalesce(t.relname, c.relname) = ANY(%s) AND c.relkind IN ('r', 'i')
    UNION ALL SELECT 'message_contents, long values', pg_total_relation_size(reltoastrelid)
    FROM pg_class WHERE relname = 'message_contents' ORDER BY 2 DESC"""
WORDS: Final = {
    True: "SELECT count(*), sum(said_bytes(messages)) FROM message_contents",
    False: "SELECT count(*), sum(octet_length(messages::text)) FROM message_contents",
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Records, bytes of their words as JSON, and bytes of each table and index."""

    records: int
    words: int
    parts: dict[str, int]
    sqlite: bool

    @property
    def ratio(self) -> float:
        """All bytes to those of the words."""
        return sum(self.parts.values()) / self.words if self.words else 0.0

    def table(self) -> list[str]:
        """One line a part, the largest first."""
        rows: list[tuple[str, ...]] = [("what", "bytes a record", "of the words", "")]
        rows.append(("the words themselves", f"{self.words / self.records:,.0f}", "1.00", ""))
        rows += [
            (name, f"{size / self.records:,.0f}", f"{size / self.words:.2f}", "") for name, size in self.parts.items()
        ]
        must = MUST[self.sqlite]
        whole = f"{sum(self.parts.values()) / self.records:,.0f}"
        verdict = f"at most {must:g}: {'met' if self.ratio <= must else 'OVER'}"
        return laid_out([*rows, ("all together", whole, f"{self.ratio:.2f}", verdict)])


def read_sizes(store: Store) -> Sizes:
    """The sizes as they are, after the database has tidied up."""
    if store.sqlite:
        with contextlib.closing(sqlite3.connect(store.dsn, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            # What is packed counts by what was said.
            connection.create_function(
                "said_bytes", 1, lambda kept: len(unpack_text(kept).encode()), deterministic=True
            )
            records, words = connection.execute(WORDS[True]).fetchone()
            parts = dict(connection.execute(IN_SQLITE, ['["' + '", "'.join(TABLES) + '"]']).fetchall())
    else:
        with psycopg.connect(store.dsn, autocommit=True) as own:
            own.execute("VACUUM ANALYZE message_contents")
            found = own.execute(WORDS[False].encode()).fetchone()
            records, words = (int(value or 0) for value in found or (0, 0))
            parts = {
                str(name): int(size) for name, size in own.execute(IN_POSTGRES.encode(), [list(TABLES)]).fetchall()
            }
    return Sizes(int(records), int(words or 0), {name: size for name, size in parts.items() if size}, store.sqlite)
