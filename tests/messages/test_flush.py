"""The flush: everything that was accepted is stored once, whatever lies in the spool beside it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from portal.accounts.models import Account
from portal.core import clock
from portal.core.database import db
from portal.core.errors import Unavailable
from portal.messages import store
from portal.messages.flush import Flushed, flush, waiting_bytes
from portal.messages.models import (
    Conversation,
    MessageContent,
    MessageLog,
    MessageModel,
    ModelDay,
    QuarantinedRecord,
    SpoolPosition,
)
from portal.messages.spool_file import FileSpool
from portal.messages.spool_protocol import Batch, line_of
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.messages.conftest import changed, last_line, leave_behind, record, spooled
from tests.people import make_account
from tests.races import race

Push = Callable[..., list[tuple[str, str | None]]]


def stored_ids() -> list[str]:
    """The callers' ids of all stored records."""
    db.session.expire_all()
    return sorted(db.session.scalars(select(MessageLog.source_id)))


def quarantined() -> list[tuple[str, str]]:
    """(reason, line) of everything set aside."""
    db.session.expire_all()
    rows = db.session.scalars(select(QuarantinedRecord).order_by(QuarantinedRecord.id))
    return [(row.reason, row.line or "") for row in rows]


def counts(done: Flushed) -> tuple[int, int, int]:
    """(stored, duplicate, quarantined)."""
    return done.stored, done.duplicates, done.quarantined


# ---- What is stored -----------------------------------------------------------------------------------------------


def test_a_record_is_stored_with_all_that_was_said(push: Push, alice: Account) -> None:
    messages = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": None, "tool_calls": []}]
    at = "2026-01-01T12:00:00.123456+02:00"
    usage, extra = {"input_tokens": 3, "output_tokens": 4}, {"tag": ["x"]}
    push(record(id="a", messages=messages, model=" M-1", usage=usage, latency_ms=12, timestamp=at, metadata=extra))
    assert counts(flush()) == (1, 0, 0)
    log = db.session.scalars(select(MessageLog)).one()
    assert (log.user_id, log.source_id, log.latency_ms, log.extra) == (alice.id, "a", 12, extra)
    assert (log.prompt_tokens, log.completion_tokens, log.total_tokens) == (3, 4, 7)
    assert log.at == datetime.fromisoformat(at)
    assert db.session.scalars(select(MessageContent.messages)).one() == messages
    assert db.session.scalars(select(MessageModel.name)).one() == "m-1"


def test_tokens_that_were_not_told_stay_unknown(push: Push) -> None:
    push(record(id="a"), record(id="b", usage={"total_tokens": 9}), record(id="c", usage={"prompt_tokens": 2}))
    flush()
    query = select(MessageLog.prompt_tokens, MessageLog.completion_tokens, MessageLog.total_tokens)
    assert [tuple(row) for row in db.session.execute(query.order_by(MessageLog.source_id))] == [
        (None, None, None), (None, None, 9), (2, None, 2),
    ]  # fmt: skip


def test_flushing_again_stores_nothing_again(push: Push) -> None:
    push(*(record(id=f"a-{n}") for n in range(5)))
    assert [counts(flush()) for _ in range(3)] == [(5, 0, 0), (0, 0, 0), (0, 0, 0)]


def test_the_flush_says_what_it_did(push: Push) -> None:
    push(record(id="a"))
    assert str(flush()) == "stored 1, duplicate 0, quarantined 0"


@pytest.mark.parametrize("setting", [{"flush_max_rows": 3}])
def test_more_records_than_one_transaction_takes_are_all_stored(push: Push) -> None:
    push(*(record(id=f"a-{n:02}") for n in range(20)))
    assert counts(flush()) == (20, 0, 0)
    assert stored_ids() == [f"a-{n:02}" for n in range(20)]


@pytest.mark.parametrize("setting", [{"flush_max_bytes": 65536}])
def test_records_larger_than_the_bytes_of_one_transaction_are_stored(push: Push) -> None:
    push(*(record(id=f"a-{n}", messages=[{"role": "user", "content": "x" * 100_000}]) for n in range(3)))
    assert counts(flush()) == (3, 0, 0)


def test_models_are_counted_by_day(push: Push) -> None:
    day = "2026-01-0{}T23:59:59Z"
    push(
        record(model="M-1", timestamp=day.format(1), usage={"total_tokens": 5}),
        record(model="m-1 ", timestamp=day.format(1), usage={"prompt_tokens": 1, "completion_tokens": 1}),
        record(model="m-1", timestamp=day.format(2)),
        record(timestamp=day.format(1)),
    )
    flush()
    rows = db.session.execute(select(ModelDay.day, ModelDay.model, ModelDay.logs, ModelDay.tokens)).all()
    assert sorted((f"{row.day:%d}", row.model, row.logs, row.tokens) for row in rows) == [
        ("01", "", 1, 0), ("01", "m-1", 2, 7), ("02", "m-1", 1, 0),
    ]  # fmt: skip


def test_huge_counts_of_tokens_do_not_stop_a_model(push: Push) -> None:
    huge = {"prompt_tokens": 2**31 - 1, "completion_tokens": 2**31 - 1}
    push(*(record(id=f"a-{n}", model="m-1", timestamp="2026-01-01T00:00:00Z", usage=huge) for n in range(4)))
    assert counts(flush()) == (4, 0, 0)
    assert db.session.scalars(select(ModelDay.tokens)).one() == 8 * (2**31 - 1)


# ---- Conversations ------------------------------------------------------------------------------------------------


def conversations() -> dict[str, tuple[int, str, str]]:
    """By the caller's id: exchanges, first and last hour."""
    db.session.expire_all()
    return {
        one.source_id: (one.exchanges, f"{one.started_at:%H}", f"{one.last_at:%H}")
        for one in db.session.scalars(select(Conversation))
    }


def test_records_of_one_conversation_are_one_whatever_their_order(push: Push) -> None:
    for hours in ((11, 9), (14, 10)):
        push(*(record(conversation_id="c-1", timestamp=f"2026-01-01T{hour:02}:00:00Z") for hour in hours))
        flush()
    push(record(conversation_id="c-2", timestamp="2026-01-01T08:00:00Z"))
    flush()
    assert conversations() == {"c-1": (4, "09", "14"), "c-2": (1, "08", "08")}


def test_a_record_without_a_conversation_is_one_of_its_own(push: Push) -> None:
    push(record(id="a"), record(id="b"), record())
    flush()
    assert len(conversations()) == 3
    assert {"a", "b"} <= set(conversations())


def test_conversations_of_two_users_or_two_clients_are_apart(push: Push, machine: Callable[..., Machine]) -> None:
    make_account("bob")
    push(record(conversation_id="c-1"), {"username": "bob", "prompt": "hello", "conversation_id": "c-1"})
    machine(name="other gate").post("/message-logs", record(conversation_id="c-1"))
    flush()
    assert [one.exchanges for one in db.session.scalars(select(Conversation))] == [1, 1, 1]


def test_the_title_is_how_the_conversation_began(push: Push) -> None:
    push(record(conversation_id="c-1", messages=[{"role": "user", "content": "  How do\n I " + "x" * 200}]))
    flush()
    push(record(conversation_id="c-1", messages=[{"role": "user", "content": "And then?"}]))
    flush()
    title = db.session.scalars(select(Conversation.title)).one()
    assert title.startswith("How do I xx") and len(title) == 120


# ---- Files --------------------------------------------------------------------------------------------------------


def test_a_file_left_behind_is_stored_and_removed(push: Push, spool: FileSpool) -> None:
    push(record(id="a"))
    path = leave_behind(
        spool, "gone", changed(last_line(spool), source_id="b"), changed(last_line(spool), source_id="c")
    )
    assert counts(flush()) == (3, 0, 0)
    assert stored_ids() == ["a", "b", "c"]
    assert not path.exists()
    assert db.session.scalars(select(SpoolPosition.file)).all() == [spooled(spool)[0].name]


def test_the_own_file_is_kept_while_it_is_written(push: Push, spool: FileSpool) -> None:
    push(record(id="a"))
    flush()
    push(record(id="b"))
    assert counts(flush()) == (1, 0, 0)
    spool.close()
    flush()
    assert (spooled(spool), stored_ids()) == ([], ["a", "b"])


def test_a_torn_tail_is_waited_for_while_its_process_lives(push: Push, spool: FileSpool) -> None:
    push(record(id="a"))
    whole = changed(last_line(spool), source_id="b")
    with spooled(spool)[0].open("ab") as file:
        file.write(whole[:40])
        file.flush()
        assert counts(flush()) == (1, 0, 0)
        file.write(whole[40:])
    assert counts(flush()) == (1, 0, 0)
    assert (stored_ids(), quarantined()) == (["a", "b"], [])


def test_a_torn_tail_of_a_dead_process_is_dropped(push: Push, spool: FileSpool) -> None:
    push(record(id="a"))
    line = last_line(spool)
    path = leave_behind(spool, "gone", changed(line, source_id="b"), changed(line, source_id="torn")[:-7])
    assert counts(flush()) == (2, 0, 0)
    assert not path.exists()


def test_damaged_lines_are_set_aside_and_the_rest_goes_on(push: Push, spool: FileSpool) -> None:
    push(record(id="a"))
    line = last_line(spool)
    damage = [
        b"nonsense\n",
        b"\n",
        b"00000000 {}\n",
        b"\xff\xfe\x00\n",
        b"zzzzzzzz {}\n",
        line_of(b'{"user_id": "'),
        line_of(b'{"other":' * 9999),
    ]
    leave_behind(spool, "gone", changed(line, source_id="b"), *damage, changed(line, source_id="c"))
    assert counts(flush()) == (3, 0, len(damage))
    assert stored_ids() == ["a", "b", "c"]
    assert {reason for reason, _ in quarantined()} == {"damaged line"}


def test_a_whole_line_that_is_no_record_is_set_aside_with_what_it_lacks(push: Push, spool: FileSpool) -> None:
    push(record(id="a"))
    leave_behind(spool, "gone", line_of(b"[1"), line_of(b"[" * 9999), line_of(b"{}"))
    assert counts(flush()) == (1, 0, 3)
    assert {reason[:20] for reason, _ in quarantined()} == {"no record: Expected ", "no record: Object mi"}


POISON: dict[str, dict[str, Any]] = {
    "a user that is not there": {"user_id": str(uuid.UUID(int=5))},
    "a user that is no id": {"user_id": "alice"},
    "a client that is not there": {"client_id": str(uuid.UUID(int=6))},
    "a client that is no id": {"client_id": "gate"},
    "a client that is nothing": {"client_id": None},
    "a time that is none": {"at": "yesterday"},
    "a time without a zone": {"at": "2026-01-01T00:00:00"},
    "a digest that is none": {"digest": "xyz"},
    "tokens of another type": {"tokens": None},
    "tokens past all bounds": {"tokens": {"prompt_tokens": 10**12}},
    "NUL in the id": {"source_id": "a\0b"},
    "messages of another type": {"messages": 5},
    "a conversation of another type": {"conversation": ["c"]},
    "a model of another type": {"model": {"m": 1}},
    "a model with a long name": {"model": "m" * 81},
    "words that cannot be opened": {"sealed": "nonsense", "messages": []},
    "an id that is a list": {"source_id": ["a"]},
}


def test_records_that_cannot_be_stored_are_set_aside_with_their_content(push: Push, spool: FileSpool) -> None:
    push(record(id="a"))
    line = last_line(spool)
    poison = [changed(line, **{"source_id": f"x-{at}", **fields}) for at, fields in enumerate(POISON.values())]
    leave_behind(spool, "gone", changed(line, source_id="b"), *poison, changed(line, source_id="c"))
    assert counts(flush()) == (3, 0, len(POISON))
    assert stored_ids() == ["a", "b", "c"]
    aside = quarantined()
    assert all(reason and '"conversation":' in said for reason, said in aside)
    assert counts(flush()) == (0, 0, 0)


def test_more_words_than_can_be_searched_stop_nothing(push: Push, spool: FileSpool) -> None:
    """PostgreSQL takes no more than a mebibyte of them, and says so with an error of its own kind."""
    push(record(id="a"))
    line = last_line(spool)
    many = [{"role": "user", "content": " ".join(f"word{number:07d}" for number in range(120_000))}]
    leave_behind(spool, "gone", changed(line, source_id="b", messages=many), changed(line, source_id="c"))
    done = flush()
    assert (done.stored, done.quarantined) in {(3, 0), (2, 1)}
    assert {"a", "c"} <= set(stored_ids())
    assert counts(flush()) == (0, 0, 0)
    assert {reason for reason, _ in quarantined()} <= {"cannot be stored: ProgramLimitExceeded"}


@pytest.mark.parametrize("fault", [OperationalError("no", None, Exception()), OSError(5, "gone"), MemoryError()])
def test_a_fault_of_the_database_sets_nothing_aside(
    push: Push, spool: FileSpool, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """The records wait, and the next flush stores them."""

    def fail(*_: object) -> None:
        raise fault

    push(record(id="a"), record(id="b"))
    monkeypatch.setattr(store, "count_models", fail)
    with pytest.raises((OperationalError, Unavailable, OSError, MemoryError)):
        flush()
    assert (stored_ids(), quarantined(), spool.waiting() > 0) == ([], [], True)
    monkeypatch.undo()
    assert counts(flush()) == (2, 0, 0)
    assert spool.waiting() == 0


def test_a_commit_whose_trim_never_came_stores_nothing_twice(
    push: Push, spool: FileSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_batch: Batch) -> None:
        raise Unavailable

    push(record(id="a"))
    leave_behind(spool, "gone", changed(last_line(spool), source_id="b"))
    monkeypatch.setattr(spool, "trim", die)
    with pytest.raises(Unavailable):
        flush()
    monkeypatch.undo()
    assert flush().duplicates == 0
    assert (stored_ids(), flush().stored) == (["a", "b"], 0)
    assert [path.name for path in spooled(spool)] == [db.session.scalars(select(SpoolPosition.file)).one()]


def test_a_file_that_cannot_be_removed_is_told(push: Push, spool: FileSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "read-only")

    push(record(id="a"))
    spool.close()
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(Unavailable):
        flush()
    monkeypatch.undo()
    assert counts(flush()) == (0, 0, 0)
    assert (spooled(spool), stored_ids()) == ([], ["a"])


def test_what_waits_is_counted_in_bytes_not_stored(push: Push, spool: FileSpool) -> None:
    assert waiting_bytes() == 0
    push(record(id="a"))
    assert waiting_bytes() == spool.depth().size > 0
    flush()
    assert (waiting_bytes(), spool.depth().size > 0) == (0, True)


def test_lines_that_are_no_records_stop_neither_flush_nor_push(push: Push, spool: FileSpool) -> None:
    odd = [b"[1]", b"{}", b'{"client_id": "x"}', b'{"client_id": "x", "source_id": ["a"], "digest": "0"}', b"null"]
    leave_behind(spool, "gone", *map(line_of, odd))
    assert push(record(id="a")) == [("accepted", None)]
    assert counts(flush()) == (1, 0, len(odd))


def test_a_twin_in_another_spool_is_counted_and_a_differing_one_set_aside(push: Push, spool: FileSpool) -> None:
    push(record(id="a"))
    line = last_line(spool)
    other = [{"role": "user", "content": "something else"}]
    leave_behind(spool, "gone", changed(line), changed(line, digest="00" * 16, messages=other))
    assert counts(flush()) == (1, 1, 1)
    ((reason, said),) = quarantined()
    assert reason == "another record has this id" and "something else" in said


def test_equal_ids_in_one_file_are_stored_once(push: Push, spool: FileSpool) -> None:
    push(record(id="a"))
    line = last_line(spool)
    leave_behind(spool, "gone", *(changed(line, source_id="b") for _ in range(5)))
    assert counts(flush()) == (2, 4, 0)


def test_many_flushers_at_once_store_each_record_once(app: Doorward, push: Push) -> None:
    push(*(record(id=f"a-{n:03}") for n in range(300)))

    def work(_: int) -> tuple[int, int, int]:
        with app.app_context():
            return counts(flush())

    done = race(6, work)
    assert sum(stored for stored, _, _ in done) == 300
    assert all((duplicates, aside) == (0, 0) for _, duplicates, aside in done)
    assert len(stored_ids()) == 300


def test_pushing_and_flushing_at_the_same_time_loses_nothing(app: Doorward, gate: Machine, push: Push) -> None:
    """The index of the spool forgets what the database has: in between, a repeat must not slip through."""
    done, finished = Flushed(), threading.Event()

    def work(number: int) -> None:
        if number:
            client = Machine(app.test_client(), gate.token)
            for turn in range(30):
                for _ in range(2):
                    assert client.post("/message-logs", record(id=f"{number}-{turn}")).status_code == 202
            return
        with app.app_context():
            while not finished.wait(0.01):
                one = flush()
                done.stored, done.duplicates = done.stored + one.stored, done.duplicates + one.duplicates

    flusher = threading.Thread(target=work, args=(0,))
    flusher.start()
    race(4, lambda n: work(n + 1))
    finished.set()
    flusher.join()
    one = flush()
    assert done.stored + one.stored == 120
    assert stored_ids() == sorted(f"{n}-{turn}" for n in range(1, 5) for turn in range(30))


def test_received_is_when_it_came(push: Push) -> None:
    clock.shift(timedelta(days=400))
    before = clock.now()
    push(record(id="a", timestamp="2026-01-01T00:00:00Z"))
    clock.shift(timedelta(days=500))
    flush()
    log = db.session.scalars(select(MessageLog)).one()
    assert before <= log.received_at < before + timedelta(minutes=5)
