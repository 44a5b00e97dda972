"""/api/v1/users/{id}/keys: by admins for a reason, the desk in a case, clients by scope; masked where pages mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.audit.models import AuditEntry
from portal.core.database import db
from tests.conftest import Machine
from tests.people import make_account, open_case_for

WHY = {"X-Reason": "found in a public file"}


def seen(answer: TestResponse) -> tuple[int, str]:
    """The status and the code of a problem."""
    return answer.status_code, answer.get_json()["code"]


def latest(event: str) -> AuditEntry:
    """The last entry of this event."""
    found = db.session.scalars(select(AuditEntry).where(AuditEntry.event == event).order_by(AuditEntry.at.desc()))
    return found.first() or AuditEntry()


def test_each_as_far_as_they_may(caller: Callable[..., Machine], machine: Callable[..., Machine]) -> None:
    alice, bob = make_account("alice"), make_account("bob")
    place = f"/users/{alice.id}/keys"
    gate, ada = machine("keys:verify", name="gate"), caller("ada")
    tess, theo, tara = (caller(name) for name in ("tess", "theo", "tara"))
    reads, writes, users = (
        machine("keys:read", name="r"),
        machine("keys:write", name="w"),
        machine("users:read", "users:write", name="u"),
    )

    def make(who: Machine, name: str, **terms: Any) -> dict[str, Any]:
        answer = who.post(place, {"name": name, **terms}, headers={"Idempotency-Key": name})
        assert (answer.status_code, answer.headers["ETag"]) == (201, '"1"'), answer.text
        again = who.post(place, {"name": name, **terms}, headers={"Idempotency-Key": name}).get_json()
        made: dict[str, Any] = answer.get_json()
        assert again == {**made, "key": None}
        assert gate.post("/keys/verify", {"key": made["key"]}).get_json()["user"]["username"] == "alice"
        return made

    by_client, by_ada = make(writes, "robot", networks=["127.0.0.0/8"]), make(ada, "desk")
    assert latest("key.created").actor_name == "ada"
    for who in (reads, users, tess, theo, tara, gate, caller("alice"), caller("max")):
        assert seen(who.post(place, {"name": "x"})) == (403, "FORBIDDEN")
    assert seen(writes.get(place)) == (403, "FORBIDDEN")
    assert seen(users.get(place)) == (403, "FORBIDDEN")
    told = reads.get(place).get_json()["items"]
    assert ada.get(place).get_json()["items"] == told
    assert [(one["id"], one["networks"]) for one in told] == [(by_ada["id"], []), (by_client["id"], ["127.0.0.0/8"])]
    assert "key" not in told[0]
    assert tess.get(place).get_json()["items"][1]["networks"] == ["127.0.•••"]
    assert (latest("record.viewed").actor_name, latest("record.viewed").target_id) == ("tess", alice.id)
    first = reads.get(f"{place}?limit=1").get_json()
    assert reads.get(place, query_string={"cursor": first["next_cursor"]}).get_json()["items"] == told[1:]

    one = f"{place}/{by_client['id']}"
    changed = writes.patch(one, {"daily_limit": 3}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.get_json()["networks"], changed.headers["ETag"]) == (
        200,
        ["127.0.0.0/8"],
        '"2"',
    )
    assert seen(ada.patch(one, {"daily_limit": 4}, headers={"If-Match": '"1"'})) == (412, "STALE")
    turned = ada.post(f"{one}/rotate", {"overlap_s": 60})
    assert (turned.status_code, turned.get_json()["daily_limit"], turned.headers["ETag"]) == (201, 3, '"1"')
    assert reads.get(f"{place}?ended=false").get_json()["items"][2]["state"] == "replaced"
    elsewhere = [
        f"/users/{bob.id}/keys/{by_client['id']}",
        f"{place}/{bob.id}",
        f"/users/{ada.get('/me').get_json()['id']}/keys",
    ]
    assert seen(writes.patch(elsewhere[0], {"name": "x"})) == seen(ada.patch(elsewhere[1], {})) == (404, "NOT_FOUND")
    assert seen(reads.get(elsewhere[2])) == seen(ada.post(elsewhere[2], {"name": "x"})) == (404, "NOT_FOUND")

    # Ending one: the desk from level 2 on, in a case of its own; admins say why; clients need not.
    held = {"X-Case": open_case_for("theo", alice)}
    assert seen(tess.delete(one, headers=held)) == (403, "FORBIDDEN")
    for headers in ({}, {"X-Case": open_case_for("theo", bob)}, {"X-Case": "C-NONE"}):
        refused = theo.delete(one, headers=headers)
        assert (refused.status_code, refused.get_json()["title"]) == (403, "Open a case first")
    assert theo.delete(one, headers=held).status_code == 204
    assert (latest("key.revoked").case, latest("key.revoked").target_id) == (held["X-Case"], UUID(by_client["id"]))
    refused = ada.delete(f"{place}/{by_ada['id']}")
    assert (*seen(refused), refused.get_json()["errors"][0]["pointer"]) == (422, "INVALID", "/X-Reason")
    assert ada.delete(f"{place}/{by_ada['id']}", headers={**WHY, "If-Match": '"7"'}).status_code == 412
    assert ada.delete(f"{place}/{by_ada['id']}", headers=WHY).status_code == 204
    assert latest("key.revoked").reason == WHY["X-Reason"]
    assert writes.delete(f"{place}/{turned.get_json()['id']}").status_code == 204
    secrets = [by_client["key"], by_ada["key"], turned.get_json()["key"]]
    codes = {gate.post("/keys/verify", {"key": secret}).get_json()["code"] for secret in secrets}
    assert codes == {"KEY_REVOKED"}
