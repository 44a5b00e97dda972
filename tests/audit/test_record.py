"""The record of an act: exact facts, in the act's own transaction."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from portal.accounts.lifecycle import suspend
from portal.accounts.models import User
from portal.audit import events
from portal.audit.models import AuditEntry
from portal.audit.record import Target, record
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.web.frame import Doorward
from tests.people import actor_named, make_account


@pytest.mark.parametrize(
    "facts",
    [None, {}, {"name": "a"}, {"name": "a", "prefix": "dw_", "secret": "s"}, {"Name": "a", "prefix": "dw_"}],
)
def test_facts_are_exactly_those_the_event_declares(facts: dict[str, Any] | None) -> None:
    with pytest.raises(ValueError, match=r"key\.created carries \['name', 'prefix'\]"):
        record(nobody(), events.KEY_CREATED, None, facts)


def test_an_event_without_facts_takes_none() -> None:
    with pytest.raises(ValueError, match="carries"):
        record(nobody(), events.SIGNED_OUT, None, {"why": "tired"})


def test_an_entry_says_who_what_on_whom_why_and_whence(app: Doorward) -> None:
    make_account("ada")
    ada, key_id = actor_named("ada"), new_id()
    with transaction():
        facts = {"name": "laptop", "prefix": "dw_abc1234"}
        record(ada.because("asked by phone"), events.KEY_REVOKED, Target("key", key_id, "dw_abc1234"), facts)
    entry = db.session.scalars(select(AuditEntry)).one()
    assert (entry.event, entry.actor_kind, entry.actor_id, entry.actor_name) == (
        "key.revoked",
        "admin",
        ada.id,
        "ada",
    )
    assert (entry.target_type, entry.target_id, entry.target_name) == ("key", key_id, "dw_abc1234")
    assert (entry.facts, entry.reason, entry.result) == (facts, "asked by phone", "done")
    assert (entry.address, entry.request_id, entry.credential) == ("203.0.113.9", "test", "session")


def test_without_the_entry_there_is_no_act(app: Doorward) -> None:
    make_account("ada")
    alice = make_account("alice")
    with transaction():
        db.session.execute(text("DROP TABLE audit_entries"))
    with pytest.raises(SQLAlchemyError), transaction():
        suspend(actor_named("ada").because("spam"), alice.id)
    db.session.expire_all()
    assert db.session.get_one(User, alice.id).state == "active"
