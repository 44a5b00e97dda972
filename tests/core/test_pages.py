"""Keyset pages: walking forward and back shows every row once, in order, ties included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from portal.audit.models import AuditEntry
from portal.core.database import db, transaction
from portal.core.errors import Malformed
from portal.core.ids import new_id
from portal.core.pages import page_of
from portal.web.frame import Doorward

START = datetime(2026, 11, 21, tzinfo=UTC)
ORDERS: dict[str, list[Any]] = {
    "newest": [AuditEntry.at.desc(), AuditEntry.id.desc()],
    "oldest": [AuditEntry.at.asc(), AuditEntry.id.asc()],
    "three": [AuditEntry.event.desc(), AuditEntry.at.desc(), AuditEntry.id.desc()],
}


def store(ticks: list[int]) -> None:
    """Entries at few instants with few events, so that ties abound."""
    rows = [
        {
            "id": new_id(),
            "at": START + timedelta(microseconds=tick),
            "event": f"e{tick % 2}",
            "actor_kind": "job",
            "actor_name": "test",
            "credential": "job",
            "facts": {},
            "result": "done",
        }
        for tick in ticks
    ]
    with transaction():
        db.session.execute(delete(AuditEntry))
        if rows:
            db.session.execute(insert(AuditEntry), rows)


def walk(name: str, size: int) -> tuple[list[list[Any]], list[list[Any]]]:
    """All pages there, and all pages back again."""
    there: list[list[Any]] = []
    back: list[list[Any]] = []
    cursor = None
    while True:
        page = page_of(select(AuditEntry), ORDERS[name], cursor, purpose=name, size=size)
        there.append([row.id for row in page.items])
        assert (page.previous_cursor is None) == (len(there) == 1)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    while page.previous_cursor is not None:
        page = page_of(select(AuditEntry), ORDERS[name], page.previous_cursor, purpose=name, size=size)
        assert page.next_cursor is not None
        back.insert(0, [row.id for row in page.items])
    return there, back


def test_each_row_stands_on_one_page_there_and_back(app: Doorward) -> None:
    @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.integers(0, 3), max_size=14), st.sampled_from(sorted(ORDERS)), st.integers(1, 5))
    def check(ticks: list[int], name: str, size: int) -> None:
        store(ticks)
        expected = list(db.session.scalars(select(AuditEntry.id).order_by(*ORDERS[name])))
        there, back = walk(name, size)
        assert [row for page in there for row in page] == expected
        assert all(len(page) == size for page in there[:-1])
        assert back == there[:-1]

    check()


def test_a_row_added_meanwhile_shifts_nothing(app: Doorward) -> None:
    store([1, 2, 3])
    first = page_of(select(AuditEntry), ORDERS["newest"], None, purpose="p", size=2)
    expected = list(db.session.scalars(select(AuditEntry.id).order_by(*ORDERS["newest"])))[2:]
    with transaction():
        db.session.execute(
            insert(AuditEntry).values(
                id=new_id(),
                at=START + timedelta(days=1),
                event="e",
                actor_kind="job",
                actor_name="test",
                credential="job",
                facts={},
                result="done",
            )
        )
    second = page_of(select(AuditEntry), ORDERS["newest"], first.next_cursor, purpose="p", size=2)
    assert [row.id for row in second.items] == expected


@pytest.mark.parametrize("cursor", ["x", "WyJhZnRlciJd.abc", "\u00e9", "a" * 5000, "."])
def test_a_cursor_that_was_not_given_out_is_refused(app: Doorward, cursor: str) -> None:
    with pytest.raises(Malformed):
        page_of(select(AuditEntry), ORDERS["newest"], cursor, purpose="p")


def test_a_cursor_of_another_list_is_refused(app: Doorward) -> None:
    store([1, 2])
    other = page_of(select(AuditEntry), ORDERS["newest"], None, purpose="users", size=1).next_cursor
    with pytest.raises(Malformed):
        page_of(select(AuditEntry), ORDERS["newest"], other, purpose="audit", size=1)


def test_an_order_that_runs_both_ways_is_refused_at_once(app: Doorward) -> None:
    with pytest.raises(ValueError, match="one way"):
        page_of(select(AuditEntry), [AuditEntry.at.desc(), AuditEntry.id.asc()], None, purpose="p")
