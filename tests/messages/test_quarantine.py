"""The quarantine: what was set aside is listed without its words, tried again, dropped; each told to the audit log."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core.access import operator_actor
from portal.core.actor import Actor
from portal.core.data_keys import destroy_data_key
from portal.core.database import db, transaction
from portal.core.errors import Conflict, NotFound
from portal.messages.flush import flush
from portal.messages.models import Conversation, MessageLog, QuarantinedRecord
from portal.messages.quarantine import (
    count_quarantined,
    drop_quarantined,
    list_quarantined,
    names_on,
    retry_all_quarantined,
    retry_quarantined,
    set_aside,
)
from portal.messages.spool_file import FileSpool
from tests.messages.conftest import changed, last_line, leave_behind, record

Push = Callable[..., list[tuple[str, str | None]]]


@pytest.fixture
def operator() -> Actor:
    """Whoever may."""
    return operator_actor()


@pytest.fixture
def aside(push: Push, spool: FileSpool) -> QuarantinedRecord:
    """A record that differs from one of the same id."""
    push(record(id="a"))
    leave_behind(spool, "gone", changed(last_line(spool), digest="00" * 16))
    assert flush().quarantined == 1
    return db.session.scalars(select(QuarantinedRecord)).one()


def entries() -> list[tuple[str, dict[str, object]]]:
    """(event, facts) of the quarantine's audit entries."""
    query = select(AuditEntry.event, AuditEntry.facts).where(AuditEntry.event.startswith("quarantine"))
    return [(row.event, row.facts) for row in db.session.execute(query)]


def test_it_is_listed_newest_first_with_what_is_known_of_it(
    operator: Actor, aside: QuarantinedRecord, alice: Account, spool: FileSpool
) -> None:
    leave_behind(spool, "again", b"nonsense\n")
    flush()
    assert count_quarantined() == 2
    page = list_quarantined(operator, size=1)
    assert (page.items[0].reason, page.items[0].user_id, page.items[0].source_id) == ("damaged line", None, None)
    (last,) = list_quarantined(operator, page.next_cursor).items
    assert (last.reason, last.user_id, last.source_id) == ("another record has this id", alice.id, "a")
    assert last.client_id is not None


def test_what_can_be_stored_now_leaves_it(operator: Actor, aside: QuarantinedRecord) -> None:
    with pytest.raises(Conflict), transaction():
        retry_quarantined(operator, aside.id)
    with transaction():
        log = db.session.scalars(select(MessageLog)).one()
        log.source_id = "another"
    with transaction():
        retry_quarantined(operator, aside.id)
    assert (count_quarantined(), len(db.session.scalars(select(MessageLog)).all())) == (0, 2)
    assert db.session.scalars(select(Conversation.exchanges)).all() == [2]
    assert entries() == [("quarantine.retried", {"count": 1, "stored": 1})]


def test_all_are_tried_at_once_and_what_cannot_be_stored_stays(
    operator: Actor, aside: QuarantinedRecord, spool: FileSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_behind(spool, "damaged", b"nonsense\n")
    flush()
    with transaction():
        db.session.scalars(select(MessageLog)).one().source_id = "another"
        assert retry_all_quarantined(operator) == (1, 1, None)
    assert count_quarantined() == 1
    assert entries() == [("quarantine.retried", {"count": 2, "stored": 1})]
    with transaction():
        set_aside(None, b"more nonsense\n", "damaged line")
    monkeypatch.setattr("portal.messages.quarantine.MOST_AT_ONCE", 1)
    with transaction():
        left, stayed, go_on = retry_all_quarantined(operator)
        assert (left, stayed, go_on is not None) == (0, 1, True)
        assert retry_all_quarantined(operator, go_on) == (0, 1, None)


def test_its_names_are_those_of_users_and_clients(operator: Actor, aside: QuarantinedRecord, alice: Account) -> None:
    names = names_on([aside])
    assert names[alice.id] == "alice"
    assert aside.client_id in names


def test_what_is_no_record_stays(operator: Actor, push: Push, spool: FileSpool) -> None:
    leave_behind(spool, "gone", b"nonsense\n")
    flush()
    (row,) = db.session.scalars(select(QuarantinedRecord))
    with pytest.raises(Conflict), transaction():
        retry_quarantined(operator, row.id)
    assert count_quarantined() == 1


@pytest.mark.parametrize("setting", [{"encrypt_messages": True}])
def test_a_sealed_one_is_opened_to_be_tried_and_not_once_its_key_is_destroyed(
    operator: Actor, aside: QuarantinedRecord, alice: Account
) -> None:
    assert (aside.line, aside.sealed is None) == (None, False)
    with transaction():
        db.session.scalars(select(MessageLog)).one().source_id = "another"
    with transaction():
        destroy_data_key(alice.id)
    with pytest.raises(Conflict), transaction():
        retry_quarantined(operator, aside.id)
    assert count_quarantined() == 1


def test_what_is_dropped_is_gone(operator: Actor, aside: QuarantinedRecord) -> None:
    with transaction():
        drop_quarantined(operator, aside.id)
    assert (count_quarantined(), entries()) == (0, [("quarantine.dropped", {"count": 1})])
    for verb in (drop_quarantined, retry_quarantined):
        with pytest.raises(NotFound), transaction():
            verb(operator, uuid.uuid4())


def test_one_place_in_the_spool_is_set_aside_once(app: object) -> None:
    with transaction():
        assert [set_aside("redis:1-1:x", b"nonsense\n", "damaged line") for _ in range(3)] == [True, False, False]
        assert set_aside(None, b"nonsense\0 \xff\n", "with a NUL \0") and set_aside(None, b"", "empty")
    assert count_quarantined() == 3
