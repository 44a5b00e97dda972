"""The purge of a deleted user knows every table that holds something of one."""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, MetaData, Table, Uuid, inspect

from portal.core.database import Base, db
from portal.privacy.children import DROPPED, KEPT, TAKEN_ELSEWHERE
from portal.web.frame import Doorward

OWNERS = {"accounts", "users"}
# Columns that name a person, or may, without pointing at the table of accounts.
NAMING = {"user_id", "account_id", "owner_id", "caller_id", "target_id", "actor_id", "reader_id", "client_id", "key_id"}


def children_in(metadata: MetaData) -> set[str]:
    """Every table that holds rows of a user: by a column that names one, or by pointing at a table that does."""
    held = set(OWNERS)
    while True:
        found = {
            table.name
            for table in metadata.tables.values()
            if any(column.name in NAMING for column in table.columns)
            or any(key.column.table.name in held for key in table.foreign_keys)
        }
        if found <= held:
            return held
        held |= found


def unnamed(metadata: MetaData) -> set[str]:
    """The children of which the purge says nothing."""
    return children_in(metadata) - named()


def named() -> set[str]:
    """The tables of which the purge says something."""
    return {table.__tablename__ for table in DROPPED} | set(TAKEN_ELSEWHERE) | set(KEPT)


def test_the_purge_says_what_becomes_of_every_child() -> None:
    assert unnamed(Base.metadata) == set()


def test_it_says_it_once_and_of_tables_there_are() -> None:
    said = [*(table.__tablename__ for table in DROPPED), *TAKEN_ELSEWHERE, *KEPT]
    assert len(said) == len(set(said))
    assert set(said) <= children_in(Base.metadata)
    for place in TAKEN_ELSEWHERE.values():
        assert resolve_name(f"portal.{place.partition(':')[0]}") is not None
    assert all(len(reason.split()) > 2 for reason in KEPT.values())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Column("whose", Uuid, ForeignKey("accounts.id")),
        lambda: Column("whose", Uuid, ForeignKey("users.account_id")),
        lambda: Column("number", Uuid, ForeignKey("message_logs.number")),
        lambda: Column("key", Uuid, ForeignKey("api_keys.id")),
        lambda: Column("user_id", Uuid),
    ],
)
def test_a_table_that_nobody_thought_of_is_reported(make: Callable[[], Column[Any]]) -> None:
    planted = MetaData()
    for table in Base.metadata.tables.values():
        table.to_metadata(planted)
    Table("planted", planted, make())
    assert unnamed(planted) == {"planted"}


def test_no_table_of_the_database_is_unknown_here(app: Doorward) -> None:
    stored = {name for name in inspect(db.engine).get_table_names() if "_search" not in name}
    assert stored - set(Base.metadata.tables) == {"alembic_version"}
