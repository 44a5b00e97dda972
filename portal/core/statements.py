"""SQL written once, for both databases: texts with `:names`, as SQLite reads them."""

from __future__ import annotations

import re


def for_postgres(statement: str) -> str:
    """The same statement with the placeholders psycopg reads."""
    return re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", statement.replace("%", "%%"))


def for_sqlite(statement: str) -> str:
    """The same statement without row locks: SQLite has one writer, so what it reads while writing stays."""
    return statement.replace(" FOR UPDATE", "")


def both(texts: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """(for SQLite, for PostgreSQL) of named statements."""
    return (
        {name: for_sqlite(text) for name, text in texts.items()},
        {name: for_postgres(text) for name, text in texts.items()},
    )
