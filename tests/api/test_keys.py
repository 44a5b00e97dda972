"""/api/v1/keys: verify, verify-many, self, leaked."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.keys.leaked import MOST_A_MINUTE
from portal.keys.models import ApiKey
from portal.mail.models import OutboxMail
from portal.usage.models import Refusal
from portal.usage.rates import forget_rates
from tests.conftest import Machine
from tests.people import make_account

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = "2031-12-10T12:00:00+00:00"


@pytest.fixture
def december(app: object) -> None:
    """A day on which nothing special happens."""
    clock.shift(datetime.fromisoformat(DECEMBER) - clock.now())


def test_a_good_key_is_answered_as_the_contract_has_it(
    december: None, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice", time_zone="Europe/Berlin")
    answer = machine().post("/keys/verify", {"key": key_of(alice)})
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    body: dict[str, Any] = answer.get_json()
    assert str(uuid.UUID(body.pop("key_id")))
    assert body.pop("decision_id").startswith("ok_")
    assert body == {
        "valid": True,
        "code": "VALID",
        "scopes": [],
        "user": {"id": str(alice.id), "username": "alice", "plan": "free"},
        "daily": {
            "limit": 100,
            "used": 1,
            "remaining": 99,
            "resets_at": "2031-12-11T00:00:00+01:00",
            "time_zone": "Europe/Berlin",
        },
        "credits": {"remaining": 0},
    }


def test_a_refusal_tells_what_is_left_and_when_it_clears(
    december: None, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine(), key_of(make_account("alice", daily_limit_override=1))
    gate.post("/keys/verify", {"key": key})
    answer = gate.post("/keys/verify", {"key": key})
    assert answer.status_code == 200
    body = answer.get_json()
    assert (body["valid"], body["code"]) == (False, "DAILY_LIMIT_REACHED")
    assert body["daily"] == {
        "limit": 1, "used": 1, "remaining": 0, "resets_at": "2031-12-11T00:00:00+00:00", "time_zone": "UTC",
    }  # fmt: skip
    assert body["credits"] == {"remaining": 0}
    assert body["clears_at"] == "2031-12-11T00:00:00+00:00"


def test_an_unknown_key_is_an_answer_not_an_error(machine: Callable[..., Machine]) -> None:
    gate = machine()
    for key in ("dw_nonsense", "", "dw_\0", "x" * 401, "dw_" + "x" * 1_000_000):
        answer = gate.post("/keys/verify", {"key": key})
        assert (answer.status_code, answer.get_json()["code"]) == (200, "KEY_UNKNOWN"), key[:20]


@pytest.mark.parametrize(
    "cost",
    [
        {"conversations": -1}, {"conversations": 1.5}, {"conversations": 1_000_001}, {"conversations": 2**63},
        {"conversations": 10**30}, {"conversations": True}, {"conversations": "1"}, {"conversations": None},
        {"conversations": [1]}, {"credits": -1}, {"credits": 0.5}, {"credits": 1_000_001}, {"credits": 2**64},
        {"credits": False}, {"credits": "5"}, {"units": 1}, [], 1, "1", None,
    ],
    ids=str,
)  # fmt: skip
def test_units_that_are_no_whole_number_in_bounds_are_refused(
    machine: Callable[..., Machine], key_of: Callable[..., str], cost: object
) -> None:
    gate, key = machine(), key_of(make_account("alice"))
    answer = gate.client.post(
        "/api/v1/keys/verify", headers=gate.headers(), json={"key": key, "cost": cost, "model": "m"}
    )
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert answer.get_json()["errors"][0]["pointer"].startswith("/cost")
    assert gate.post("/keys/verify", {"key": key}).get_json()["daily"]["used"] == 1


def test_bounds_are_within(machine: Callable[..., Machine], key_of: Callable[..., str]) -> None:
    gate, key = machine(), key_of(make_account("alice"))
    for cost in ({"conversations": 0}, {"conversations": 1_000_000}, {"credits": 0}, {"credits": 1_000_000}, {}):
        assert gate.post("/keys/verify", {"key": key, "cost": cost}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {}, {"key": None}, {"key": 5}, {"key": ["dw_"]}, {"key": "dw_x", "extra": 1}, {"Key": "dw_x"}, [], "dw_x",
        5, False, {"key": "dw_x", "scopes": "chat"}, {"key": "dw_x", "scopes": [1]}, {"key": "dw_x", "ip": 5},
        {"key": "dw_x", "model": None}, {"key": "dw_x", "model": "m" * 81}, {"key": "dw_x", "model": "m\0"},
    ],
    ids=lambda body: str(body)[:40],
)  # fmt: skip
def test_other_shapes_are_refused_by_name(machine: Callable[..., Machine], body: object) -> None:
    gate = machine()
    answer = gate.client.post("/api/v1/keys/verify", headers=gate.headers(), json=body)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    said = answer.get_json()
    assert (said["status"], said["code"]) == (422, "INVALID")
    assert all(error["pointer"].startswith("/") and error["detail"] for error in said["errors"])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/key"), ({"key": "dw_x", "extra": 1}, "/extra"), ({"key": "dw_x", "cost": {"tokens": 1}}, "/cost/tokens"),
        ({"key": "dw_x", "a/b~c": 1}, "/a~1b~0c"), ({"key": "dw_x", "": 1}, "/"), ([], "/"),
        ({"key": "dw_x", "x" * 5000: 1}, "/" + "x" * 100),
    ],
    ids=lambda told: str(told)[:40],
)  # fmt: skip
def test_the_pointer_names_the_member(machine: Callable[..., Machine], body: object, pointer: str) -> None:
    gate = machine()
    answer = gate.client.post("/api/v1/keys/verify", headers=gate.headers(), json=body)
    assert [error["pointer"] for error in answer.get_json()["errors"]] == [pointer]


def test_a_key_in_the_query_string_counts_for_nothing(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine(), key_of(make_account("alice"))
    assert gate.post(f"/keys/verify?key={key}", {"key": key}).status_code == 400
    assert gate.get(f"/keys/self?key={key}").status_code == 400
    assert gate.post("/keys/verify", {"key": key}).get_json()["daily"]["used"] == 1


# ---- verify-many --------------------------------------------------------------------------------------------------


def test_many_questions_are_answered_in_their_order(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine("keys:verify"), key_of(make_account("alice", daily_limit_override=2))
    items: list[dict[str, Any]] = [
        {"key": key},
        {"key": "dw_none"},
        {"key": key, "cost": {"conversations": 2}},
        {"key": key},
    ]
    answer = gate.post("/keys/verify-many", {"items": items})
    body = answer.get_json()
    assert (answer.status_code, answer.headers["Cache-Control"], set(body)) == (200, "no-store", {"items"})
    assert [said["code"] for said in body["items"]] == ["VALID", "KEY_UNKNOWN", "DAILY_LIMIT_REACHED", "VALID"]
    assert len({said["decision_id"] for said in body["items"]}) == 4
    single = gate.post("/keys/verify", {"key": key, "cost": {"conversations": 0}}).get_json()
    assert {**body["items"][3], "decision_id": ""} == {**single, "decision_id": ""}


def test_one_to_a_hundred_questions_fit_into_a_call(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine("keys:verify"), key_of(make_account("alice", daily_limit_override=100))
    answer = gate.post("/keys/verify-many", {"items": [{"key": key}] * 100})
    assert [said["daily"]["used"] for said in answer.get_json()["items"]] == list(range(1, 101))
    for count in (0, 101):
        wrong = gate.post("/keys/verify-many", {"items": [{"key": key}] * count})
        assert (wrong.status_code, wrong.get_json()["errors"][0]["pointer"]) == (422, "/items")


def test_one_wrong_question_of_many_stops_all(machine: Callable[..., Machine], key_of: Callable[..., str]) -> None:
    gate, key = machine("keys:verify"), key_of(make_account("alice"))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"key": key, "scopes": ["a"] * 51}, "/items/1/scopes"),
        ({"key": key, "ip": "1" * 101}, "/items/1/ip"),
        ({"key": key, "model": "m" * 81}, "/items/1/model"),
        ({"key": key, "cost": {"credits": -1}}, "/items/1/cost/credits"),
    ]
    for second, pointer in wrong:
        answer = gate.post("/keys/verify-many", {"items": [{"key": key}, second]})
        assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, pointer)
    assert gate.post("/keys/verify", {"key": key}).get_json()["daily"]["used"] == 1


def test_a_bare_array_will_do_but_nothing_behind_it(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine("keys:verify"), key_of(make_account("alice"))
    one = f'{{"key": "{key}"}}'
    for good in (f"[{one}]", f" [{one}, {one}]\n"):
        answer = gate.post("/keys/verify-many", data=good, content_type="application/json")
        assert {said["code"] for said in answer.get_json()["items"]} == {"VALID"}
    for wrong in (f'[{one}], "items": [{one}]', f"[{one}", f"[{one}]]", f"[{one}] [{one}]", "[" * 100_000):
        answer = gate.post("/keys/verify-many", data=wrong, content_type="application/json")
        assert (answer.status_code, answer.get_json()["code"]) == (400, "MALFORMED")
    empty = gate.post("/keys/verify-many", data="[]", content_type="application/json")
    assert (empty.status_code, empty.get_json()["errors"][0]["pointer"]) == (422, "/items")
    assert gate.post("/keys/verify", {"key": key}).get_json()["daily"]["used"] == 4


# ---- self and leaked ----------------------------------------------------------------------------------------------


def own(gate: Machine, **headers: str) -> TestResponse:
    """Ask as a key, or whoever these headers name."""
    return gate.client.get(
        "/api/v1/keys/self", headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def test_a_key_may_ask_about_itself_and_spends_nothing(
    december: None, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice", daily_limit_override=5)
    gate, key = machine(), key_of(alice)
    bodies = [own(gate, **headers) for headers in ({"Authorization": f"Bearer {key}"}, {"X_API_Key": key})]
    assert [answer.status_code for answer in bodies] == [200, 200]
    first = bodies[0].get_json()
    assert first == bodies[1].get_json() | {"key_id": first["key_id"]}
    assert first == {
        "valid": True, "code": "VALID", "key_id": first["key_id"], "scopes": [], "expires_at": None,
        "user": {"id": str(alice.id), "username": "alice", "plan": "free"},
        "daily": {
            "limit": 5, "used": 0, "remaining": 5, "resets_at": "2031-12-11T00:00:00+00:00", "time_zone": "UTC",
        },
        "credits": {"remaining": 0},
    }  # fmt: skip
    assert bodies[0].headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"revoked_at": NOW}, "KEY_REVOKED"),
        ({"expires_at": NOW}, "KEY_EXPIRED"),
        ({"networks": ["203.0.113.0/24"]}, "IP_NOT_ALLOWED"),
        ({"networks": ["127.0.0.0/8"]}, "VALID"),
        ({"networks": ["nonsense"]}, "IP_NOT_ALLOWED"),
    ],
    ids=str,
)
def test_a_key_hears_why_it_is_not_good(
    machine: Callable[..., Machine], key_of: Callable[..., str], columns: dict[str, Any], code: str
) -> None:
    gate, key = machine(), key_of(make_account("alice"))
    with transaction():
        row = db.session.scalars(select(ApiKey)).one()
        for name, value in columns.items():
            setattr(row, name, value)
    body = own(gate, X_API_Key=key).get_json()
    assert (body["valid"], body["code"], "decision_id" in body) == (code == "VALID", code, False)
    assert db.session.scalars(select(Refusal)).all() == []


def test_only_a_whole_key_may_ask_about_itself(machine: Callable[..., Machine], key_of: Callable[..., str]) -> None:
    gate, key = machine(), key_of(make_account("alice"))
    wrong = [
        {}, {"X_API_Key": ""}, {"X_API_Key": key[:-1]}, {"X_API_Key": key + "x"}, {"Authorization": f"Basic {key}"},
        {"Authorization": f"Bearer {gate.token}"}, {"Authorization": "Bearer"}, {"X_API_Key": "x" * 5000},
        {"Cookie": f"key={key}"},
    ]  # fmt: skip
    for headers in wrong:
        answer = own(gate, **headers)
        assert (answer.status_code, answer.get_json()["code"]) == (401, "UNAUTHENTICATED"), headers


def test_a_key_opens_nothing_else(machine: Callable[..., Machine], key_of: Callable[..., str]) -> None:
    gate, key = machine(), key_of(make_account("alice"))
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        for path in (
            "keys/verify",
            "keys/verify-many",
            "usage/consume",
            "usage/refund",
            "usage/leases",
            "message-logs",
        ):
            answer = gate.client.post(f"/api/v1/{path}", headers=headers, json={"key": key})
            assert answer.status_code == 401, path


def test_whoever_hands_in_a_found_key_hears_the_same_whatever_it_was(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    forget_rates()
    gate, key = machine(), key_of(make_account("alice"))
    for found in (key, key, "dw_none", "", f" {key} ", "x" * 400):
        answer = gate.client.post("/api/v1/keys/leaked", json={"key": found})
        assert (answer.status_code, answer.get_json()) == (202, {"status": "received"})
    assert gate.post("/keys/verify", {"key": key}).get_json()["code"] == "KEY_REVOKED"
    assert len(db.session.scalars(select(AuditEntry).where(AuditEntry.event == "key.leaked")).all()) == 1
    assert [mail.template for mail in db.session.scalars(select(OutboxMail))] == ["key_leaked"]
    for body in ({"key": "x" * 401}, {"key": "a\0"}, {"key": 5}, {}):
        assert gate.client.post("/api/v1/keys/leaked", json=body).status_code == 422
    forget_rates()


def test_handing_in_keys_is_throttled(machine: Callable[..., Machine], key_of: Callable[..., str]) -> None:
    forget_rates()
    gate, key = machine(), key_of(make_account("alice"))
    answers = [gate.client.post("/api/v1/keys/leaked", json={"key": "dw_none"}) for _ in range(MOST_A_MINUTE + 1)]
    assert [answer.status_code for answer in answers] == [202] * MOST_A_MINUTE + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert gate.client.post("/api/v1/keys/leaked", json={"key": key}).status_code == 429
    assert gate.post("/keys/verify", {"key": key}).get_json()["code"] == "VALID"
    forget_rates()
