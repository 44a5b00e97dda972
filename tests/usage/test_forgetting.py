"""Leases and refunds are forgotten after 90 days, and not before; what they changed stays changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from portal.accounts.models import User
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.ids import earliest_id, new_id
from portal.jobs.runner import run_job
from portal.usage import forgetting
from portal.usage.forgetting import forget_leases
from portal.usage.leases import end_leases
from portal.usage.models import Lease, Refund, UsageDay
from tests.conftest import Machine
from tests.people import make_account


@pytest.fixture
def gate(app: object, machine: Callable[..., Machine]) -> Machine:
    """A client; and Alice, whose limit is 100."""
    made = make_account("alice", daily_limit_override=100)
    assert isinstance(made, User)
    return machine("usage:consume", "usage:lease")


def leased(gate: Machine) -> str:
    """A lease of ten for a minute."""
    asked = {"username": "alice", "conversations": 10, "ttl_s": 60}
    answer = gate.post("/usage/leases", asked)
    assert answer.status_code == 200, answer.text
    made: str = answer.get_json()["lease_id"]
    return made


def forgotten() -> str:
    """What the job says."""
    run = run_job("forget_leases", by_hand=True)
    assert run is not None
    return run.summary


def test_what_is_over_is_forgotten_after_90_days_and_what_is_open_never(gate: Machine) -> None:
    settled, lost, open_ = leased(gate), leased(gate), leased(gate)
    assert gate.post(f"/usage/leases/{settled}/settle", {"used": 4}).status_code == 200
    clock.shift(timedelta(seconds=121))
    with transaction():
        db.session.get_one(Lease, UUID(open_)).ends_at = clock.now() + timedelta(days=200)
    with transaction():
        assert end_leases() == (1, 1)
    assert gate.post("/usage/refund", {"decision_id": lost}).status_code == 200
    clock.shift(timedelta(days=89, hours=23))
    assert forgotten() == "leases 0, refunds 0"
    clock.shift(timedelta(days=90, hours=1))
    assert forgotten() == "leases 2, refunds 1"
    assert [str(one) for one in db.session.scalars(select(Lease.id))] == [open_]
    assert db.session.scalar(select(func.count()).select_from(Refund)) == 0
    assert db.session.scalar(select(func.sum(UsageDay.used))) == 14  # 4 were used, 10 are out on the open lease
    again = gate.post("/usage/refund", {"decision_id": lost})
    assert again.status_code == 404
    assert forgotten() == "leases 0, refunds 0"


def test_a_batch_at_a_time(gate: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "BATCH", 2)
    for _ in range(5):
        leased(gate)
    clock.shift(timedelta(seconds=121))
    with transaction():
        end_leases()
    clock.shift(timedelta(days=91))
    with transaction():
        assert forget_leases() == 2
    assert forgotten() == "leases 3, refunds 0"


def test_ids_tell_when_they_were_made() -> None:
    before = clock.now()
    made = new_id()
    assert earliest_id(before) <= made < earliest_id(clock.now() + timedelta(milliseconds=1))
