"""Rows waiting to be stored, and storing them: one short transaction a batch, for a server may run beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from psycopg import sql
from psycopg.types.json import Json
from sqlalchemy import insert, text

from portal.accounts.models import Account, User
from portal.audit.models import AuditEntry
from portal.core import database
from portal.core.database import db, dialect_name, transaction
from portal.keys.models import ApiKey
from portal.usage.models import CreditBalance, CreditEntry, Lease, Refusal, UsageDay, UsageDetail, UsageMonth

if TYPE_CHECKING:
    from sqlalchemy import Table

    from portal.core.database import Base

# What is pointed at comes before what points at it.
ORDER: tuple[type[Base], ...] = (
    Account,
    User,
    ApiKey,
    CreditBalance,
    CreditEntry,
    UsageDay,
    UsageDetail,
    UsageMonth,
    Refusal,
    Lease,
    AuditEntry,
)


class Rows:
    """Rows by table. All rows of one table must name the same columns."""

    def __init__(self) -> None:
        self.by_table: dict[type[Base], list[dict[str, Any]]] = {}

    def add(self, table: type[Base], /, **columns: Any) -> dict[str, Any]:
        """Keep a row for later; it may still be changed until it is stored."""
        self.by_table.setdefault(table, []).append(columns)
        return columns

    def store(self) -> None:
        """Insert everything in one transaction. Raises IntegrityError or UniqueViolation, and then
        nothing is stored."""
        with transaction():
            for table in ORDER:
                insert_rows(table, self.by_table.get(table, []))


def insert_rows(table: type[Base], rows: list[dict[str, Any]]) -> None:
    """Insert rows around the ORM, in the transaction at hand. Every column without a server default must be named."""
    if not rows:
        return
    if dialect_name() == "postgresql":
        _copy(str(table.__tablename__), rows)
    else:
        db.session.execute(insert(cast("Table", table.__table__)), rows)


def note_growth(batches: int, *tables: type[Base]) -> None:
    """Have PostgreSQL look at how large the tables are by now, after 1, 2, 4, 8 … batches.

    It keeps the plans of statements it has seen, and one made while a table was empty reads the whole table.
    """
    if dialect_name() == "postgresql" and batches & (batches - 1) == 0:
        with transaction():
            for table in tables:
                db.session.execute(text(f"ANALYZE {table.__tablename__}"))


def _copy(table: str, rows: list[dict[str, Any]]) -> None:
    """COPY, which PostgreSQL takes several times faster than one INSERT after another."""
    connection = cast("Any", db.session.connection().connection.dbapi_connection)
    if not database.in_raw_transaction(connection):
        database.begin(connection)
    names = list(rows[0])
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([_adapted(row[name]) for name in names])


def _adapted(value: Any) -> Any:
    return Json(value) if isinstance(value, dict | list) else value
