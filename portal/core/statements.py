"""SQL written once, for both databases: texts with `:names`, as SQLite reads them."""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PLACEHOLDER = re.compile(r"(?<!:):([a-z_]+)")


def for_postgres(statement: str) -> str:
    """The same statement with the placeholders psycopg reads."""
    return PLACEHOLDER.sub(r"%(\1)s", statement.replace("%", "%%"))


def for_sqlite(statement: str) -> str:
    """The same statement without row locks: SQLite has one writer, so what it reads while writing stays."""
    return statement.replace(" FOR UPDATE", "")


def placed(statement: str) -> tuple[str, Callable[[dict[str, Any]], tuple[Any, ...]]]:
    """A statement for SQLite with numbered placeholders, and what picks its values in their order out of named ones:
    to look up each name costs SQLite as much as a small statement itself."""
    names = list(dict.fromkeys(PLACEHOLDER.findall(statement)))
    text = PLACEHOLDER.sub(lambda found: f"?{names.index(found[1]) + 1}", statement)
    if len(names) == 1:  # of one name `itemgetter` gives no tuple
        return text, lambda values: (values[names[0]],)
    return text, itemgetter(*names)


def both(texts: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """(for SQLite, for PostgreSQL) of named statements."""
    return (
        {name: for_sqlite(text) for name, text in texts.items()},
        {name: for_postgres(text) for name, text in texts.items()},
    )
