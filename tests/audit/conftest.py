"""A chain with a few entries in it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.record import Target, record
from portal.audit.sealing import HeadLost, seal_entries
from portal.audit.verifying import Verdict, verify_chain
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.jobs.runner import run_job
from tests.people import actor_named, make_account

if TYPE_CHECKING:
    from portal.accounts.models import Account
    from portal.web.frame import Doorward

ENTRIES = 8


@pytest.fixture
def alice(app: Doorward) -> Account:
    """About whom the entries are."""
    make_account("ada")
    return make_account("alice")


@pytest.fixture
def chain(alice: Account) -> list[AuditEntry]:
    """Eight sealed entries, a root of the day, and the end kept."""
    ada = actor_named("ada").because("They asked.")
    with transaction():
        for number in range(ENTRIES):
            facts = {"name": f"key {number}", "prefix": f"dw_{number}"}
            record(ada, events.KEY_REVOKED, Target("key", alice.id, f"dw_{number}"), facts)
    run_job("seal_audit", by_hand=True)
    return list(db.session.query(AuditEntry).order_by(AuditEntry.seq))


def sql(statement: str, **values: Any) -> None:
    """What somebody with the database at hand does."""
    with transaction():
        db.session.execute(text(statement), values)
    db.session.expire_all()


def verdict(**given: Any) -> Verdict:
    """What a check finds now."""
    db.session.rollback()
    with transaction():
        found = verify_chain(operator_actor(), **given)
    with suppress(IntegrityError, HeadLost):
        seal_entries()
    db.session.rollback()
    return found
