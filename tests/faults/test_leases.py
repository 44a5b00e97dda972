"""A client, and the server with it, is killed while it holds a lease: exactly what it never reported counts as used,
is listed as lost, and comes back once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.jobs.runner import run_job
from portal.usage.credits import grant_credits
from portal.usage.history import lost_leases
from portal.usage.models import CreditBalance, UsageDay
from tests.conftest import Machine
from tests.people import actor_named, make_account
from tests.servers import Server


@pytest.mark.slow
def test_of_a_lease_lost_by_kill_exactly_the_unreported_units_count(
    served: Server, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice", daily_limit_override=100)
    with transaction():
        grant_credits(operator_actor().because("a test"), alice.id, 100)
    key, token = key_of(alice), machine("usage:lease", "usage:consume").token or ""

    def stands() -> tuple[int, int]:
        db.session.expire_all()
        balance = db.session.get_one(CreditBalance, alice.id)
        return sum(db.session.scalars(select(UsageDay.used))), balance.own_credits

    def post(path: str, body: dict[str, Any], expected: int = 200) -> dict[str, Any]:
        with served.caller(token) as caller:
            status, said = caller.post(f"/api/v1/usage/{path}", body)
        assert status == expected, said
        made: dict[str, Any] = said
        return made

    lease = post("leases", {"key": key, "conversations": 20, "credits": 30, "ttl_s": 60})["lease_id"]
    post(f"leases/{lease}/settle", {"used": {"conversations": 7, "credits": 11}, "final": False})
    served.kill()
    assert stands() == (20, 70)
    clock.shift(timedelta(minutes=3))
    served.settings["CLOCK_OFFSET_S"] = "180"
    served.start()
    assert post(f"leases/{lease}/settle", {"used": {"conversations": 8, "credits": 11}}, 409)["code"] == "CONFLICT"
    assert stands() == (20, 70)
    run = run_job("end_leases", by_hand=True)
    assert run is not None
    assert run.outcome == "done", run.summary
    (listed,) = lost_leases(actor_named("alice"), alice.id)
    assert (listed.lost_conversations, listed.lost_credits, listed.given_back_at) == (13, 19, None)
    assert post("refund", {"decision_id": lease})["refunded"] == {"conversations": 13, "credits": 19}
    post("refund", {"decision_id": lease}, 409)
    assert stands() == (7, 89)
    assert lost_leases(actor_named("alice"), alice.id)[0].given_back_at is not None
