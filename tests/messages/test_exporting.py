"""Exports: what is in them, who gets them, and what is written down before the first byte."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from portal.accounts.models import Account
from portal.clients.models import ServiceClient
from portal.core.access import job_actor, operator_actor
from portal.core.data_keys import destroy_data_key
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.core.tables import read_csv
from portal.messages import export_rows
from portal.messages.export_rows import COLUMNS
from portal.messages.exporting import export_logs_of, export_own_logs
from portal.messages.flush import flush
from portal.messages.models import MessageContent, SealedContent
from portal.messages.reading import LogFilter
from portal.work.models import LongWork
from tests.messages.conftest import record
from tests.messages.exports import ALL, Push, bytes_of, entries, export, ids, instant, lines, said
from tests.people import acting, actor_named, make_account


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two logs a batch: every export here has several, with one that is not full or none after them."""
    monkeypatch.setattr(export_rows, "BATCH", 2)


@pytest.fixture
def logs(push: Push) -> None:
    """Five logs of Alice and one of Bob."""
    make_account("bob")
    push(
        record(id="a", messages=said("a lantern"), model="m-1", conversation_id="c-1", metadata={"tag": 1},
               usage={"input_tokens": 3, "output_tokens": 4}, latency_ms=12, timestamp="2026-01-01T10:00:00Z"),
        record(id="b", messages=said("a lighthouse"), model="m-2", conversation_id="c-1",
               timestamp="2026-01-02T10:00:00Z"),
        record(id="c", messages=said("a lantern again"), timestamp="2026-01-03T10:00:00Z"),
        record(id="d", messages=said("=1+1"), timestamp="2026-01-04T10:00:00Z"),
        record(id="e", messages=said("the same instant"), timestamp="2026-01-04T10:00:00Z"),
        {"username": "bob", "prompt": "a lantern of Bob", "id": "z", "timestamp": "2026-01-01T10:00:00Z"},
    )  # fmt: skip
    flush()


def test_a_line_holds_all_there_is_of_a_log(logs: None) -> None:
    made = export()
    assert made.media_type == "application/x-ndjson"
    assert made.name.endswith(".jsonl")
    first = lines(made)[0]
    alice = actor_named("alice")
    assert first.pop("id") and first.pop("received_at")
    assert first == {
        "source_id": "a", "user_id": str(alice.id), "conversation_id": "c-1", "model": "m-1",
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, "latency_ms": 12,
        "timestamp": "2026-01-01T10:00:00+00:00", "content": "kept", "metadata": {"tag": 1},
        "messages": [{"role": "user", "content": "a lantern"}],
    }  # fmt: skip


def test_it_holds_ones_own_and_all_of_it_earliest_first(logs: None) -> None:
    assert ids(export()) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (LogFilter(search="lantern"), ["a", "c"]),
        (LogFilter(search='"lantern again"'), ["c"]),
        (LogFilter(search="lant*"), ["a", "c"]),
        (LogFilter(model="M-1"), ["a"]),
        (LogFilter(conversation="c-1"), ["a", "b"]),
        (LogFilter(since=instant("2026-01-02T10:00"), until=instant("2026-01-04T10:00")), ["b", "c"]),
        (LogFilter(search="lantern", since=instant("2026-01-02T00:00")), ["c"]),
        (LogFilter(search="nothing-like-it"), []),
        (LogFilter(conversation="no such"), []),
    ],
)
def test_the_filters_of_the_list_narrow_it(logs: None, wanted: LogFilter, found: list[str]) -> None:
    assert ids(export(wanted)) == found


def test_a_filter_by_user_does_not_lead_to_another(logs: None) -> None:
    bob = actor_named("bob")
    assert ids(export(LogFilter(user_id=bob.id, search="lantern"))) == ["a", "c"]


def test_no_cell_of_a_csv_is_a_formula_and_all_is_restored(push: Push, alice: Account) -> None:
    push(
        record(id="=cmd|' /C calc'!A0", model="@sum(1)", conversation_id="-2+3", metadata={"=x": "=1"}),
        record(id="+1", conversation_id='=HYPERLINK("x";"y")'),
        record(id="plain, with a comma", messages=said('say "so"\r\ntwice')),
    )
    flush()
    sent = bytes_of(export(file_format="csv")).decode()
    rows = list(read_csv(sent))
    assert rows[0] == list(COLUMNS)
    assert [row[1] for row in rows[1:]] == ["=cmd|' /C calc'!A0", "+1", "plain, with a comma"]
    assert (rows[1][3], rows[1][4], json.loads(rows[1][12])) == ("-2+3", "@sum(1)", {"=x": "=1"})
    assert json.loads(rows[3][13]) == [{"role": "user", "content": 'say "so"\r\ntwice'}]
    raw = list(csv.reader(sent.splitlines(keepends=True), strict=True))
    assert not [cell for row in raw for cell in row if cell.startswith(tuple("=+-@\t\r\n"))]


def test_the_entry_is_there_before_the_first_byte(logs: None) -> None:
    made = export()
    (entry,) = entries("conversation.exported")
    assert (entry.actor_name, entry.target_name, entry.facts) == ("alice", "alice", {"format": "jsonl", "count": 5})
    assert made.pieces is not None
    assert next(made.pieces) is not None


def test_what_comes_later_is_not_in_it(logs: None, push: Push) -> None:
    made = export()
    push(record(id="later", timestamp="2026-01-02T11:00:00Z"))
    flush()
    assert ids(made) == ["a", "b", "c", "d", "e"]
    assert len(ids(export())) == 6


def test_between_two_pieces_no_connection_is_held(logs: None) -> None:
    made = export()
    db.session.remove()
    assert made.pieces is not None
    next(made.pieces), next(made.pieces)
    assert not db.session.registry.has() or not db.session().in_transaction()


@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
def test_one_that_breaks_off_says_so_at_its_end(logs: None, monkeypatch: pytest.MonkeyPatch, file_format: str) -> None:
    made = export(file_format=file_format)
    assert made.pieces is not None
    sent = next(made.pieces) + next(made.pieces)
    monkeypatch.setattr(export_rows, "open_contents", None)
    sent += b"".join(made.pieces)
    end = sent.splitlines()[-1]
    assert b"not whole" in end
    assert len(sent.splitlines()) == (4 if file_format == "csv" else 5)


def test_a_format_that_is_none_is_refused(logs: None) -> None:
    with pytest.raises(Invalid) as told:
        export(file_format="xlsx")
    assert set(told.value.fields) == {"format"}
    assert entries("conversation.exported") == []


def test_who_has_no_conversations_exports_none(logs: None) -> None:
    for name in ("tess", "tara", "ada", "max"):
        make_account(name)
        with pytest.raises(Forbidden):
            export_own_logs(actor_named(name), ALL, "jsonl")
    with pytest.raises(Forbidden):
        export_own_logs(job_actor("tidy"), ALL, "jsonl")


@pytest.mark.parametrize("name", ["tara", "ada"])
def test_anothers_is_exported_for_a_reason_with_entries(logs: None, name: str) -> None:
    make_account(name)
    alice = actor_named("alice").id
    assert alice is not None
    who = acting(name, db.session.get_one(Account, alice))
    for reason in ("", "  "):
        with pytest.raises(Invalid) as told:
            export_logs_of(who.because(reason), alice, ALL, "jsonl")
        assert set(told.value.fields) == {"reason"}
    with transaction():
        made = export_logs_of(who.because("asked by phone"), alice, LogFilter(search="lantern"), "jsonl")
    (asked,), (searched,) = entries("conversation.exported"), entries("conversation.searched")
    assert entries("conversation.read") == []
    assert ids(made) == ["a", "c"]
    (read,) = entries("conversation.read")
    assert {one.reason for one in (asked, searched, read)} == {"asked by phone"}
    assert {one.target_name for one in (asked, searched, read)} == {"alice"}
    assert read.facts == {"what": "export", "count": 2}


@pytest.mark.parametrize("name", ["bob", "tess", "theo", "max"])
def test_who_lacks_the_right_exports_nothing_of_another(logs: None, name: str) -> None:
    if name != "bob":
        make_account(name)
    alice = actor_named("alice").id
    assert alice is not None
    with pytest.raises(Forbidden):
        export_logs_of(actor_named(name).because("curious"), alice, ALL, "jsonl")
    assert entries("conversation.exported") == []


def test_nobody_but_users_is_exported(logs: None) -> None:
    make_account("ada")
    tess = make_account("tess")
    for other in (tess.id, new_id()):
        with pytest.raises(NotFound):
            export_logs_of(actor_named("ada").because("a case"), other, ALL, "jsonl")


def test_what_is_not_kept_any_more_is_not_in_it(logs: None) -> None:
    with transaction():
        db.session.execute(delete(MessageContent))
    found = lines(export())
    assert [line["source_id"] for line in found] == ["a", "b", "c", "d", "e"]
    assert {(line["content"], line["messages"], line["metadata"]) for line in found} == {("gone", None, None)}
    assert "lantern" not in bytes_of(export(file_format="csv")).decode()


@pytest.mark.parametrize("setting", [{"encrypt_messages": True}])
def test_what_is_sealed_is_opened_for_its_owner(logs: None) -> None:
    found = {line["source_id"]: line for line in lines(export())}
    assert found["a"]["messages"] == [{"role": "user", "content": "a lantern"}]
    assert found["a"]["metadata"] == {"tag": 1}
    assert ids(export(LogFilter(search="lantern"))) == []
    assert ids(export(LogFilter(search="c-1"))) == ["a", "b"]
    assert ids(export(LogFilter(search="d"))) == ["d"]


@pytest.mark.parametrize("setting", [{"encrypt_messages": True}])
def test_words_whose_key_is_destroyed_are_gone_and_what_does_not_open_is_locked(logs: None, alice: Account) -> None:
    with transaction():
        db.session.execute(update(SealedContent).values(sealed=b"something else"))
    assert {(line["content"], line["messages"]) for line in lines(export())} == {("locked", None)}
    with transaction():
        destroy_data_key(alice.id)
    found = lines(export())
    assert {(line["content"], line["messages"], line["metadata"]) for line in found} == {("gone", None, None)}
    assert len(found) == 5


@pytest.mark.parametrize("setting", [{"export_most_streamed": 4}])
def test_a_large_one_becomes_a_work(logs: None) -> None:
    small = export(LogFilter(search="lantern"))
    assert (small.work, ids(small)) == (None, ["a", "c"])
    made = export()
    assert made.pieces is None
    assert made.work is not None
    assert (made.work.state, made.work.total, made.work.owner_id) == ("waiting", 5, actor_named("alice").id)


@pytest.mark.parametrize("setting", [{"export_most_streamed": 1}])
def test_nobody_fills_the_queue_or_the_disk_alone(logs: None) -> None:
    export(), export()
    with pytest.raises(Conflict):
        export()
    with transaction():
        db.session.execute(update(LongWork).values(state="done"))
    assert export().work
    kept: dict[str, Any] = {
        "kind": "export_logs",
        "owner_id": actor_named("alice").id,
        "asked_by": "alice",
        "arguments": {},
    }
    with transaction():
        db.session.add_all(
            LongWork(id=new_id(), state="failed", created_at=instant("2026-01-01"), **kept) for _ in range(17)
        )
    with pytest.raises(Conflict):
        export()


@pytest.mark.parametrize("setting", [{"export_most_streamed": 1}])
def test_who_could_not_come_back_for_a_file_gets_none_made(logs: None) -> None:
    alice = actor_named("alice").id
    assert alice is not None
    assert db.session.scalar(select(ServiceClient.id)) is not None
    with pytest.raises(Forbidden):
        export_logs_of(operator_actor().because("a court order"), alice, ALL, "jsonl")
    assert db.session.scalar(select(LongWork.id)) is None
