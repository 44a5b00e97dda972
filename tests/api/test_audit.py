"""GET /api/v1/audit: who did what, by filters and pages, for clients with audit:read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

from portal.audit import events
from portal.audit.record import Target, record
from portal.audit.sealing import seal_entries
from portal.core import clock
from portal.core.database import transaction
from tests.conftest import Machine
from tests.people import actor_named, make_account

SHAPE = [
    "seq",
    "at",
    "event",
    "actor",
    "on_behalf_of",
    "target",
    "facts",
    "reason",
    "case",
    "request_id",
    "address",
    "result",
]


def test_entries_are_told_and_found(machine: Callable[..., Machine]) -> None:
    alice = make_account("alice")
    make_account("ada")
    gate = machine("audit:read")
    for number in range(3):
        with transaction():
            who = actor_named("ada").because(f"reason {number}")
            record(who, events.ACCOUNT_SUSPENDED, Target("user", alice.id, "alice"), {"from": "active", "to": "x"})
    seal_entries()
    first = gate.get("/audit?event=account.suspended&limit=2").get_json()
    rest = gate.get(f"/audit?event=account.suspended&limit=2&cursor={first['next_cursor']}").get_json()
    items = [*first["items"], *rest["items"]]
    assert [item["reason"] for item in items] == ["reason 2", "reason 1", "reason 0"]
    assert rest["next_cursor"] is None
    told = items[0]
    assert set(SHAPE) <= set(told)
    assert (told["actor"]["name"], told["actor"]["kind"], told["target"]["id"]) == ("ada", "admin", str(alice.id))
    assert [item["seq"] for item in items] == sorted((item["seq"] for item in items), reverse=True)
    since, until = quote(items[1]["at"]), quote((clock.now() + timedelta(days=1)).isoformat())
    for query, count in (
        (f"target={alice.id}", 3),
        ("target=alice&actor=ada", 3),
        (f"event=account.suspended&from={since}&to={until}", 2),
        (f"event=account.suspended&to={since}", 1),
        ("request_id=test", 3),
        ("address=203.0.113.9&result=done", 3),
        ("result=refused", 0),
        ("case=C-222222", 0),
    ):
        assert len(gate.get(f"/audit?{query}").get_json()["items"]) == count, query
    odd = ("event=no.such", "actor=nobody-there", "from=today", "to=2026-01-01", "limit=0", "sort=at", "case=%00")
    for query in odd:
        answer = gate.get(f"/audit?{query}")
        assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, f"/{query.partition('=')[0]}")
    assert gate.get("/audit?cursor=forged").status_code == 400
    assert machine("users:read", name="other").get("/audit").status_code == 403
