"""The same manners on both databases: instants, transactions, foreign keys, one writer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, StatementError

from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.record import record
from portal.core import database
from portal.core.access import job_actor
from portal.core.database import db, in_transaction, raw_connection, transaction
from portal.core.ids import new_id
from portal.keys.models import ApiKey
from portal.web.frame import Doorward


def entries() -> int:
    return db.session.scalar(select(func.count()).select_from(AuditEntry)) or 0


def test_an_instant_comes_back_as_it_was_in_utc(app: Doorward) -> None:
    at = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    with transaction():
        record(job_actor("test"), events.ACCOUNT_RESTORED)
        db.session.new.pop().at = at
    db.session.expire_all()
    kept = db.session.scalars(select(AuditEntry)).one().at
    assert kept == at
    assert kept.tzinfo is UTC


def test_an_instant_without_a_zone_is_refused(app: Doorward) -> None:
    query = select(AuditEntry).where(AuditEntry.at > datetime(2026, 1, 1))
    with pytest.raises(StatementError, match="needs a zone"):
        db.session.scalars(query).all()


def test_a_transaction_that_fails_keeps_nothing(app: Doorward) -> None:
    with pytest.raises(RuntimeError), transaction():
        record(job_actor("test"), events.ACCOUNT_RESTORED)
        db.session.flush()
        assert entries() == 1
        raise RuntimeError
    assert entries() == 0


def test_reading_holds_no_transaction_and_writing_does(app: Doorward) -> None:
    assert not in_transaction()
    assert entries() == 0
    assert not in_transaction()
    record(job_actor("test"), events.ACCOUNT_RESTORED)
    db.session.flush()
    assert in_transaction()
    db.session.rollback()
    assert not in_transaction()


def test_a_reference_to_nothing_is_refused(app: Doorward) -> None:
    key = ApiKey(id=new_id(), user_id=new_id(), name="n", prefix="p", digest=b"d", scopes=[], networks=[])
    key.created_at = datetime.now(UTC)
    with pytest.raises(IntegrityError), transaction():
        db.session.add(key)


def test_sqlite_writes_ahead_and_waits_its_turn(app: Doorward) -> None:
    if database.dialect_name() != "sqlite":
        assert db.session.scalar(select(func.current_setting("timezone"))) == "UTC"
        return
    connection = raw_connection()
    modes = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "foreign_keys")]
    assert modes == ["wal", 1]
    assert connection.execute("PRAGMA busy_timeout").fetchone()[0] == 5000
