"""A purge takes what is personal out of the audit log, also out of files, and the chain stays whole."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit import events
from portal.audit.archive import all_stretches, archive_old, folder
from portal.audit.blanking import blank_entries_of
from portal.audit.models import AuditEntry
from portal.audit.record import Target, record
from portal.audit.sealing import seal_entries
from portal.core import clock
from portal.core.access import job_actor
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.jobs.runner import run_job
from tests.audit.conftest import ENTRIES, sql, verdict
from tests.people import actor_named, make_account

KEPT = [{"audit_retention_days": 30}]


def leave_traces(alice: Account) -> None:
    """Entries by Alice, about Alice and her key, and about another."""
    own, ada = actor_named("alice"), actor_named("ada").because("canary: she said so")
    bob = make_account("bob")
    with transaction():
        record(own, events.USERNAME_CHANGED, Target("user", alice.id, "alice"), {"from": "canary-old", "to": "alice"})
        facts = {"name": "canary key", "prefix": "dw_kept"}
        record(ada, events.KEY_REVOKED, Target("key", KEY, "dw_kept"), facts)
        record(nobody("203.0.113.77"), events.SIGN_IN_FAILED, Target("user", alice.id, "alice"), {"why": "password"})
        record(ada, events.ACCOUNT_EDITED, Target("user", bob.id, "bob"), {"changed": ["email"]})


KEY = new_id()


def texts() -> list[str]:
    """All that is told in the table."""
    columns = [column for column in AuditEntry.__table__.columns if column.key not in {"id", "seq"}]
    rows = db.session.execute(select(*columns).order_by(AuditEntry.at, AuditEntry.id))
    return [repr(tuple(row)) for row in rows]


def purge(alice: Account) -> None:
    """What the purge does with the audit log."""
    blank_entries_of(alice.id, [KEY])
    with transaction():
        record(job_actor("purge_deleted_users"), events.ACCOUNT_PURGED, Target("user", alice.id))


def test_what_is_personal_goes_and_the_chain_stays_whole(chain: list[AuditEntry], alice: Account) -> None:
    leave_traces(alice)
    seal_entries()
    with transaction():
        record(actor_named("alice"), events.PASSKEY_ADDED, Target("user", alice.id, "alice"), {"name": "canary pass"})
    assert sum("canary" in said for said in texts()) == 4
    blank_entries_of(alice.id, [KEY])
    broken = verdict()
    assert (broken.seq, broken.fault) == (1, "changed: blanked, and nobody's purge tells of it")
    purge(alice)
    assert verdict().fault is None
    told = " ".join(texts())
    assert told.count("canary") == 1, "why Ada edited Bob"
    for gone in ("'alice'", "203.0.113.77", "canary key", "canary pass"):
        assert gone not in told, gone
    assert "'bob'" in told and "'ada'" in told and "'dw_kept'" in told
    sql("UPDATE audit_entries SET actor_name = 'bob' WHERE actor_id = :id AND seq IS NOT NULL", id=raw(alice))
    assert "cannot be checked any more" in (verdict().fault or "")


def raw(account: Account) -> str:
    """An id as both databases take it in raw SQL."""
    return account.id.hex if db.engine.dialect.name == "sqlite" else str(account.id)


@pytest.mark.parametrize("setting", KEPT)
def test_old_entries_move_into_files_and_the_chain_goes_on_from_there(chain: list[AuditEntry], alice: Account) -> None:
    leave_traces(alice)
    seal_entries()
    assert archive_old() == 0
    clock.shift(timedelta(days=20))
    with transaction():
        record(actor_named("ada"), events.SIGNED_OUT)
    clock.shift(timedelta(days=31))
    run_job("seal_audit", by_hand=True)
    run = run_job("archive_audit", by_hand=True)
    assert run is not None
    assert run.summary == f"moved {ENTRIES + 4}"
    seal_entries()
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "audit.archived")).one()
    assert entry.facts == {"count": ENTRIES + 4, "first": 1, "last": ENTRIES + 4}
    assert len(texts()) == 2
    found = verdict()
    assert (found.fault, found.entries, found.notes) == (None, ENTRIES + 6, [])
    (stretch,) = all_stretches()
    packed = stretch.path.read_bytes()
    assert stretch.path.stat().st_mode & 0o777 == 0o600

    purge(alice)
    assert verdict().fault is None
    rows = [row for batch in stretch.batches() for row in batch]
    assert "canary key" not in str(rows) and "'bob'" in str(rows)
    assert stretch.path.read_bytes() != packed

    stretch.path.write_bytes(packed[:-40])
    assert "ends early" in (verdict().fault or "")
    stretch.path.write_bytes(b"no file of ours")
    assert (verdict().seq, "ends early" in (verdict().fault or "")) == (1, True)
    stretch.path.unlink()
    found = verdict()
    assert (found.fault, found.notes) == (None, ["entries 1 to 12 lie in a file that is not here: not read"])
    sql("UPDATE audit_stretches SET last = 11")
    assert "was not signed here" in (verdict().fault or "")
    assert list(folder().iterdir()) == []
