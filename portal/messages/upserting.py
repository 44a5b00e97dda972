"""The insert that knows ON CONFLICT, of whichever database this is."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from portal.core.database import dialect_name


def upsert_into(table: Any) -> Any:
    """An insert into this table that can be given `on_conflict_do_…`."""
    return postgres_insert(table) if dialect_name() == "postgresql" else sqlite_insert(table)
