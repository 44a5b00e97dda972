"""GET /api/v1/message-logs: the metadata of what was pushed, by filters and pages; what was said, for a reason."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import delete, select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core.database import db, transaction
from portal.messages.flush import flush
from portal.messages.models import MessageContent
from tests.conftest import Machine
from tests.people import make_account

List = Callable[..., list[str]]
WHY = {"X-Reason": "case 12: wrong answers"}
RECORDS: list[dict[str, Any]] = [
    {"id": "a", "username": "alice", "prompt": "a lantern", "model": "m-1", "conversation_id": "c-1",
     "timestamp": "2026-01-01T10:00:00Z", "usage": {"input_tokens": 3, "output_tokens": 4}, "latency_ms": 12,
     "metadata": {"tag": 1}},
    {"id": "b", "username": "alice", "prompt": "a lighthouse", "model": "m-2", "conversation_id": "c-1",
     "timestamp": "2026-01-01T12:00:00+01:00"},
    {"id": "c", "username": "bob", "prompt": "a lantern", "model": "m-1", "conversation_id": "c-2",
     "timestamp": "2026-01-02T10:00:00Z"},
    {"id": "d", "username": "bob", "prompt": "nothing", "timestamp": "2026-01-03T10:00:00Z"},
]  # fmt: skip


@pytest.fixture
def alice(app: object) -> Account:
    """Alice; Bob lives too."""
    make_account("bob")
    return make_account("alice")


@pytest.fixture
def gate(alice: Account, machine: Callable[..., Machine]) -> Machine:
    """A client, and the records it pushed."""
    made = machine("logs:write", "logs:read", "logs:content")
    assert made.post("/message-logs", {"records": RECORDS}).get_json()["accepted"] == len(RECORDS)
    assert flush().stored == len(RECORDS)
    return made


@pytest.fixture
def listed(gate: Machine) -> List:
    """The callers' ids that filters leave: `listed(model="m-1")`."""

    def ask(**filters: str) -> list[str]:
        answer = gate.get("/message-logs", query_string=filters, headers=WHY)
        assert answer.status_code == 200, answer.text
        return [item["source_id"] for item in answer.get_json()["items"]]

    return ask


def test_an_item_is_as_the_contract_has_it(gate: Machine, alice: Account) -> None:
    item = gate.get("/message-logs", query_string={"q": "a", "user_id": str(alice.id)}, headers=WHY).get_json()[
        "items"
    ][1]
    assert str(uuid.UUID(item.pop("id"))) and item.pop("received_at")
    assert item == {
        "source_id": "a", "user_id": str(alice.id), "conversation_id": "c-1", "model": "m-1", "latency_ms": 12,
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        "timestamp": "2026-01-01T10:00:00+00:00",
    }  # fmt: skip


def test_no_word_that_was_said_is_in_the_metadata(gate: Machine) -> None:
    for headers in ({}, WHY):
        told = gate.get("/message-logs", headers=headers).text
        assert "lantern" not in told
        assert "tag" not in told


def test_the_newest_comes_first(listed: List) -> None:
    assert listed() == ["d", "c", "b", "a"]


def test_each_filter_narrows(listed: List, alice: Account) -> None:
    assert listed(user_id=str(alice.id)) == ["b", "a"]
    assert listed(user_id=str(uuid.uuid4())) == []
    assert listed(model="m-1") == listed(model="M-1") == ["c", "a"]
    assert listed(model="m-9") == []
    assert listed(conversation_id="c-1") == ["b", "a"]
    assert listed(q="lantern") == ["c", "a"]
    assert listed(q="lantern", model="m-1", user_id=str(alice.id)) == ["a"]


def test_from_is_within_and_to_is_not(listed: List) -> None:
    assert listed(**{"from": "2026-01-01T11:00:00Z"}) == ["d", "c", "b"]
    assert listed(to="2026-01-01T12:00:00+01:00") == ["a"]
    assert listed(**{"from": "2026-01-01T10:00:00Z", "to": "2026-01-02T10:00:00Z"}) == ["b", "a"]
    assert listed(**{"from": "2026-01-03T10:00:00Z", "to": "2026-01-01T10:00:00Z"}) == []


def test_pages_follow_each_other_without_gap_or_repeat(gate: Machine) -> None:
    seen, cursor = [], None
    for _ in range(4):
        filters = {"limit": "1", **({"cursor": cursor} if cursor else {})}
        answer = gate.get("/message-logs", query_string=filters).get_json()
        seen += [item["source_id"] for item in answer["items"]]
        cursor = answer["next_cursor"]
    assert (seen, cursor) == (["d", "c", "b", "a"], None)


def test_records_of_the_same_instant_are_paged_too(gate: Machine) -> None:
    at = "2026-01-05T00:00:00Z"
    gate.post("/message-logs", {"records": [{"username": "bob", "prompt": "x", "timestamp": at} for _ in range(25)]})
    flush()
    seen: list[str] = []
    filters: dict[str, Any] = {"limit": "10"}
    for _ in range(3):
        answer = gate.get("/message-logs", query_string=filters).get_json()
        seen += [item["id"] for item in answer["items"]]
        filters["cursor"] = answer["next_cursor"]
    assert filters["cursor"] is None
    assert len(seen) == len(set(seen)) == 25 + len(RECORDS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"), ("limit", "201"), ("limit", "-1"), ("limit", "1.5"), ("limit", "all"), ("limit", ""),
        ("limit", "²"), ("limit", "00000199999"), ("limit", "000001" + "0" * 6000), ("user_id", "alice"),
        ("user_id", ""), ("from", "yesterday"),
        ("from", "2026-01-01"), ("to", "2026-01-01T00:00:00"), ("from", "0001-01-01T00:00:00+23:59"),
        ("to", "9999-12-31T23:59:59-23:59"), ("to", ""), ("sort", "model"), ("username", "alice"), ("client_id", "x"),
    ],
    ids=lambda part: str(part)[:30],
)  # fmt: skip
def test_a_bad_filter_is_refused_by_name(gate: Machine, name: str, value: str) -> None:
    answer = gate.get("/message-logs", query_string={name: value})
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert answer.get_json()["errors"][0]["pointer"] == f"/{name}"


@pytest.mark.parametrize("cursor", ["x", "e30.x", "é", "\0", "a" * 5000, "WyJhZnRlciJd.x"])
def test_a_cursor_of_ones_own_making_is_malformed(gate: Machine, cursor: str) -> None:
    answer = gate.get("/message-logs", query_string={"cursor": cursor})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "MALFORMED")


def test_odd_bytes_in_the_address_are_no_fault_of_ours(gate: Machine) -> None:
    for name in ("q", "model", "conversation_id", "user_id", "from", "limit", "cursor", "a\0b"):
        for raw in ("%00", "%FF%FE", "%ED%A0%80", quote("🔑"), quote("'; DROP TABLE message_logs; --"), "%"):
            for headers in ({}, WHY):
                answer = gate.get(f"/message-logs?{quote(name)}={raw}", headers=headers)
                assert answer.status_code in {200, 400, 422}
    assert len(gate.get("/message-logs").get_json()["items"]) == len(RECORDS)


def entries() -> list[AuditEntry]:
    """What was written of reading and searching."""
    query = select(AuditEntry).where(AuditEntry.event.in_(["conversation.read", "conversation.searched"]))
    return list(db.session.scalars(query.order_by(AuditEntry.id)))


def id_of(gate: Machine, source: str) -> str:
    """Our id of the record that its caller calls so."""
    items = gate.get("/message-logs").get_json()["items"]
    return next(str(item["id"]) for item in items if item["source_id"] == source)


def test_words_are_searched_for_a_reason_which_is_kept(gate: Machine, alice: Account) -> None:
    for headers in ({}, {"X-Reason": "  "}, {"X-Reason": "x" * 501}):
        answer = gate.get("/message-logs", query_string={"q": "lantern"}, headers=headers)
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.get_json()["errors"]] == ["/X-Reason"]
    assert entries() == []
    filters = {"q": "lantern", "user_id": str(alice.id)}
    assert len(gate.get("/message-logs", query_string=filters, headers=WHY).get_json()["items"]) == 1
    gate.get(
        "/message-logs",
        query_string={"q": "nothing-says-this"},
        headers={"X-Reason": "Prüfung".encode().decode("latin-1")},
    )
    one, other = entries()
    assert (one.target_name, one.reason, one.facts) == ("alice", WHY["X-Reason"], {"what": "api", "count": 1})
    assert (other.target_id, other.reason, other.facts["count"]) == (None, "Prüfung", 0)
    assert "lantern" not in str(one.facts)


def test_who_may_not_read_content_searches_metadata(gate: Machine, machine: Callable[..., Machine]) -> None:
    reader = machine("logs:read", name="reader")
    for search, left in (("lantern", []), ("a", ["a"]), ("c-1", ["b", "a"]), ("M-1", ["c", "a"])):
        answer = reader.get("/message-logs", query_string={"q": search}, headers=WHY).get_json()
        assert [item["source_id"] for item in answer["items"]] == left, search
    assert entries() == []


@pytest.mark.parametrize("setting", [{"encrypt_messages": True}])
def test_where_words_are_sealed_the_search_is_of_metadata(gate: Machine) -> None:
    for search, left in (("lantern", []), ("c-1", ["b", "a"])):
        answer = gate.get("/message-logs", query_string={"q": search})
        assert [item["source_id"] for item in answer.get_json()["items"]] == left


def test_one_log_is_told_without_its_words(gate: Machine, machine: Callable[..., Machine]) -> None:
    place = f"/message-logs/{id_of(gate, 'a')}"
    for client in (gate, machine("logs:read", name="reader")):
        told = client.get(place).get_json()
        assert (told["source_id"], told["content"]) == ("a", "kept")
        assert told.keys().isdisjoint({"messages", "metadata"})
    assert machine("logs:read", name="other").get(place, headers=WHY).status_code == 403
    assert machine("logs:write", name="pusher").get(place, headers=WHY).status_code == 403
    assert entries() == []


def test_one_log_is_told_with_its_words_for_a_reason(gate: Machine) -> None:
    told = gate.get(f"/message-logs/{id_of(gate, 'a')}", headers=WHY).get_json()
    assert told["messages"] == [{"role": "user", "content": "a lantern"}]
    assert (told["metadata"], told["content"]) == ({"tag": 1}, "kept")
    (one,) = entries()
    assert (one.target_name, one.reason, one.facts) == ("alice", WHY["X-Reason"], {"what": "api", "count": 1})
    answer = gate.get(f"/message-logs/{id_of(gate, 'b')}", headers={"X-Reason": "x" * 501})
    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/X-Reason")


def test_words_that_are_kept_no_more_are_told_as_gone(gate: Machine) -> None:
    with transaction():
        db.session.execute(delete(MessageContent))
    place = f"/message-logs/{id_of(gate, 'b')}"
    assert gate.get(place).get_json()["content"] == "gone"
    told = gate.get(place, headers=WHY).get_json()
    assert (told["content"], told["messages"], told["metadata"]) == ("gone", [], {})


def test_a_log_that_is_not_there_is_not_found(gate: Machine) -> None:
    for name in (str(uuid.uuid4()), "x"):
        for headers in ({}, WHY):
            assert gate.get(f"/message-logs/{name}", headers=headers).status_code == 404
