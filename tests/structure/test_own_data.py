"""What somebody is handed of what is held about them: every table is in it or says why not, and no secret is."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import Column, LargeBinary, MetaData, Table, Uuid

from portal.core.access import operator_actor
from portal.core.database import Base
from portal.core.own_data import Part
from portal.privacy.own_data_files import LEFT_OUT, parts_of
from portal.web.frame import Doorward
from tests.structure.test_children import children_in

SECRET = ("digest", "hash", "sealed", "seed", "secret", "public_key", "wrapped", "epoch", "link_digest")


def parts() -> list[Part]:
    """The lists of somebody."""
    return parts_of(uuid4(), operator_actor())


def forgotten(metadata: MetaData) -> set[str]:
    """The tables with something of a user that are in no list, and say not why."""
    told = {table for part in parts() for table in part.tables}
    return children_in(metadata) - told - set(LEFT_OUT)


def test_every_table_with_something_of_a_user_is_in_it_or_says_why_not(app: Doorward) -> None:
    assert forgotten(Base.metadata) == set()


def test_what_is_left_out_is_there_has_a_reason_and_is_in_no_list(app: Doorward) -> None:
    told = {table for part in parts() for table in part.tables}
    assert told & set(LEFT_OUT) == set()
    assert set(LEFT_OUT) <= children_in(Base.metadata)
    assert all(len(reason.split()) > 4 for reason in LEFT_OUT.values())


def test_a_table_that_nobody_thought_of_is_reported(app: Doorward) -> None:
    planted = MetaData()
    for table in Base.metadata.tables.values():
        table.to_metadata(planted)
    Table("planted", planted, Column("user_id", Uuid))
    assert forgotten(planted) == {"planted"}


def secrets_in(part: Part) -> list[str]:
    """The columns of a list that by their name or sort are secrets or none of the reader's business."""
    binary = {
        column.name
        for table in part.tables
        for column in Base.metadata.tables[table].columns
        if isinstance(column.type, LargeBinary)
    }
    return [name for name in part.columns if name in binary or any(mark in name for mark in SECRET)]


def test_no_secret_is_in_it(app: Doorward) -> None:
    assert {part.name: found for part in parts() if (found := secrets_in(part))} == {}


@pytest.mark.parametrize("column", ["digest", "password_hash", "sealed_seed", "content"])
def test_a_secret_column_is_reported(app: Doorward, column: str) -> None:
    table = "pictures" if column == "content" else "api_keys"
    assert secrets_in(Part("planted", (table,), ("id", column), lambda: iter(()))) == [column]


def test_every_list_has_a_name_of_its_own(app: Doorward) -> None:
    names = [part.name for part in parts()]
    assert len(names) == len(set(names))
