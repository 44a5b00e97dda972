"""Reading the record: newest first, by filter, by those who may."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.audit import events
from portal.audit.reading import AuditFilter, list_entries
from portal.audit.record import Target, record
from portal.core import clock
from portal.core.access import job_actor
from portal.core.actor import Actor
from portal.core.database import transaction
from portal.core.errors import Forbidden
from portal.web.frame import Doorward
from tests.people import actor_named, make_account


@pytest.fixture
def ada(app: Doorward) -> Actor:
    """An admin who may read; the record holds five entries of hers and the job's about alice and bob."""
    make_account("ada")
    alice, bob = make_account("alice"), make_account("bob")
    for number in range(5):
        clock.shift(timedelta(seconds=number))
        actor = job_actor("purge") if number % 2 else actor_named("ada")
        event = events.ACCOUNT_RESTORED if number < 3 else events.ACCOUNT_PURGED
        person = alice if number < 2 else bob
        with transaction():
            record(actor, event, Target("user", person.id, person.username))
    return actor_named("ada")


def test_the_newest_stand_first(ada: Actor) -> None:
    times = [entry.at for entry in list_entries(ada, AuditFilter()).items]
    assert len(times) == 5
    assert times == sorted(times, reverse=True)


def test_each_filter_narrows(ada: Actor) -> None:
    def count(wanted: AuditFilter) -> int:
        return len(list_entries(ada, wanted).items)

    assert count(AuditFilter(event="account.restored")) == 3
    assert count(AuditFilter(actor_id=ada.id)) == 3
    assert count(AuditFilter(request_id="test")) == 3
    target = list_entries(ada, AuditFilter()).items[0].target_id
    assert count(AuditFilter(target_id=target)) == 3
    assert count(AuditFilter(event="account.restored", target_id=target)) == 1
    assert count(AuditFilter(event="no.such")) == 0


@pytest.mark.parametrize("name", ["alice", "tara", "max"])
def test_others_may_not_read_it(ada: Actor, name: str) -> None:
    if name != "alice":
        make_account(name)
    with pytest.raises(Forbidden):
        list_entries(actor_named(name), AuditFilter())
