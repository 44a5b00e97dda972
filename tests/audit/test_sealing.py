"""Entries get their place in the chain after the act, once, however many sealers there are."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from portal.accounts.models import Account
from portal.audit import events, sealing
from portal.audit.chain import GENESIS, canonical
from portal.audit.models import AuditEntry
from portal.audit.record import record
from portal.audit.roots import kept_head, write_root
from portal.audit.sealing import entries_wait, present_head, seal_entries
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, dialect_name, transaction
from portal.jobs.runner import Clock
from portal.web.frame import Doorward
from tests.audit.conftest import verdict
from tests.races import race


def leave(count: int) -> None:
    """Entries of no importance."""
    with transaction():
        for _ in range(count):
            record(operator_actor(), events.SIGNED_OUT)


def test_each_digest_is_made_of_the_one_before_the_number_and_the_entry(chain: list[AuditEntry]) -> None:
    digest, written = GENESIS, b""
    for number, entry in enumerate(chain, 1):
        row = {column.key: getattr(entry, column.key) for column in AuditEntry.__table__.columns}
        written = canonical(row)
        digest = hashlib.sha256(digest + number.to_bytes(8, "big") + written).digest()
        assert (entry.seq, entry.digest) == (number, digest)
    assert written.startswith(b'["')
    assert b"They asked." not in written


def test_an_act_waits_for_no_seal_and_the_order_is_that_of_the_instants(app: Doorward) -> None:
    leave(1)
    clock.shift(-timedelta(hours=1))
    leave(1)
    clock.shift(timedelta(0))
    assert entries_wait()
    assert seal_entries() == 2
    assert seal_entries() == 0
    rows = db.session.scalars(select(AuditEntry).order_by(AuditEntry.seq)).all()
    assert rows[0].at < rows[1].at
    assert present_head().digest == rows[1].digest


def test_sealers_at_once_make_one_chain(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "BATCH", 7)
    leave(200)
    acting = 4

    def run(number: int) -> int:
        with app.app_context():
            try:
                if number < acting:
                    leave(5)
                return seal_entries()
            except OperationalError:  # waited too long for its turn, as a job may: it is done at the next
                return 0
            finally:
                db.session.remove()

    race(8, run)
    seal_entries()
    found = verdict()
    assert (found.fault, found.last) == (None, 200 + 5 * acting)


def test_while_one_seals_another_waits_and_acts_do_not(app: Doorward) -> None:
    """On SQLite there is one writer at a time anyway."""
    leave(2)
    if dialect_name() != "postgresql":
        return
    other = db.engine.raw_connection()
    try:
        other.cursor().execute("BEGIN; UPDATE audit_head SET seq = seq")
        leave(1)
        with transaction():
            db.session.execute(text("SET LOCAL lock_timeout = '100ms'"))
            with pytest.raises(OperationalError):
                sealing.lock_head()
            db.session.rollback()
    finally:
        other.cursor().execute("ROLLBACK")
        other.close()
    assert seal_entries() == 3


def test_what_waits_at_the_end_of_a_server_is_sealed(app: Doorward) -> None:
    Clock(app).stop()
    assert write_root() is None  # nothing is in the chain
    leave(3)
    Clock(app).stop()
    assert not entries_wait()
    head = kept_head()
    assert head is not None
    assert (head.seq, head.digest) == (3, present_head().digest)


def test_odd_words_are_chained_alike(alice: Account) -> None:
    actor = operator_actor().because('Ünïcode \u2028 \U0001f600 \x1b[0m "quotes"')
    facts = {"amount": -(2**70), "balance": 0.1}
    with transaction():
        record(actor, events.CREDITS_ADJUSTED, None, facts)
    assert verdict().fault is None
