"""Storing: what users chose while their records waited, what sealing leaves open, what is counted."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable
from typing import Any

import orjson
import psycopg
import pytest
from psycopg.errors import AdminShutdown
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import OperationalError as DatabaseGone

from portal.accounts.models import Account, User
from portal.core.data_keys import destroy_data_key
from portal.core.database import db, dialect_name, transaction
from portal.messages import store
from portal.messages.flush import flush
from portal.messages.lines import WaitingRecord, read_body
from portal.messages.models import (
    Conversation,
    MessageContent,
    MessageLog,
    ModelDay,
    QuarantinedRecord,
    SealedContent,
)
from portal.messages.quarantine import set_aside
from portal.messages.sealing import open_content, open_quarantined, open_title, seal_words
from portal.messages.spool_file import FileSpool
from portal.messages.spool_protocol import line_of
from portal.messages.store import store_records
from portal.web.frame import Doorward
from tests.messages.conftest import changed, last_line, leave_behind, record
from tests.people import make_account
from tests.races import race

Push = Callable[..., list[tuple[str, str | None]]]
SEALING = pytest.mark.parametrize("setting", [{"encrypt_messages": True}])
WORDS = "the moon is made of cheese"
SAID = [{"role": "user", "content": WORDS}]


def choose(user: Account, choice: str) -> None:
    """What the user wants kept, from now on."""
    with transaction():
        db.session.execute(update(User).where(User.account_id == user.id).values(keep_messages=choice))


def count(table: type) -> int:
    """Rows of a table."""
    db.session.expire_all()
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def everything() -> str:
    """All that the database holds of messages, as text."""
    db.session.expire_all()
    tables = (Conversation, MessageLog, MessageContent, SealedContent, QuarantinedRecord)
    return repr([db.session.execute(select(table.__table__)).all() for table in tables])


def waiting(spool: FileSpool, **fields: Any) -> WaitingRecord:
    """A record like the one pushed last."""
    body = {**last_line(spool), "log_id": str(uuid.uuid4()), **fields}
    made = read_body(orjson.dumps(body))
    assert isinstance(made, WaitingRecord), made
    return made


def test_of_who_wants_nothing_kept_meanwhile_nothing_is(push: Push, alice: Account) -> None:
    push(record(id="a", messages=SAID))
    choose(alice, "nothing")
    done = flush()
    assert (done.stored, done.dropped, str(done)) == (0, 1, "stored 0, duplicate 0, quarantined 0, dropped 1")
    assert (count(MessageLog), count(Conversation), count(ModelDay), "cheese" in everything()) == (0, 0, 0, False)


def test_of_who_wants_metadata_alone_meanwhile_no_words_are_kept(push: Push, alice: Account) -> None:
    push(record(id="a", messages=SAID, metadata={"tag": "cheese"}, model="m-1"))
    choose(alice, "metadata")
    assert flush().stored == 1
    log = db.session.scalars(select(MessageLog)).one()
    # A fingerprint of words that nobody wanted kept is not kept either.
    assert (log.extra, log.digest, count(MessageContent), count(ModelDay)) == (None, b"", 0, 1)
    assert db.session.scalars(select(Conversation.title)).one() == ""
    assert "cheese" not in everything()


def test_a_record_without_words_is_like_any_that_comes_again(push: Push, alice: Account, spool: FileSpool) -> None:
    choose(alice, "metadata")
    push(record(id="a"))
    flush()
    leave_behind(spool, "gone", changed(last_line(spool), digest="00" * 16))
    assert (flush().duplicates, count(QuarantinedRecord)) == (1, 0)


def test_words_of_a_user_who_is_gone_are_not_set_aside(push: Push, spool: FileSpool) -> None:
    push(record(id="a", messages=SAID))
    leave_behind(spool, "gone", changed(last_line(spool), source_id="b", user_id=str(uuid.uuid4())))
    assert flush().quarantined == 1
    aside = db.session.scalars(select(QuarantinedRecord)).one()
    assert (aside.reason, aside.source_id) == ("no such user", "b")
    assert "cheese" not in (aside.line or "")


@pytest.mark.parametrize(("choice", "rows"), [("nothing", 0), ("metadata", 1), ("plan", 1)])
def test_a_bad_line_keeps_no_more_than_its_user_wants(
    push: Push, alice: Account, spool: FileSpool, choice: str, rows: int
) -> None:
    push(record(id="a", messages=SAID))
    line = last_line(spool)
    flush()
    choose(alice, choice)
    leave_behind(spool, "gone", changed(line, source_id="b", at="yesterday"))
    assert flush().quarantined == rows
    aside = db.session.scalars(select(QuarantinedRecord.line)).all()
    assert [WORDS in (one or "") for one in aside] == [choice == "plan"] * rows


def test_of_a_line_that_cannot_be_read_again_nothing_is_kept_where_no_words_are(app: object, alice: Account) -> None:
    """Whose it is can be told; where the words in it begin and end cannot."""
    choose(alice, "metadata")
    line = line_of(b'{"user_id": "%s", "said": "%s", "x": 1e999}' % (str(alice.id).encode(), WORDS.encode()))
    with transaction():
        assert set_aside("somewhere:0", line, "no record")
    (aside,) = db.session.scalars(select(QuarantinedRecord)).all()
    assert (aside.user_id, aside.line) == (alice.id, "")


@SEALING
def test_with_sealing_on_no_word_is_open_anywhere(push: Push, alice: Account, spool: FileSpool) -> None:
    push(record(id="a", messages=SAID, metadata={"tag": "cheese"}))
    assert flush().stored == 1
    log = db.session.scalars(select(MessageLog)).one()
    sealed = db.session.scalars(select(SealedContent)).one()
    assert open_content(alice.id, log.id, sealed.sealed) == {"messages": SAID, "extra": {"tag": "cheese"}}
    talk = db.session.scalars(select(Conversation)).one()
    assert open_title(alice.id, talk.id, talk.sealed_title or b"") == WORDS
    assert (count(MessageContent), talk.title, log.extra, "cheese" in everything()) == (0, "", None, False)
    if dialect_name() == "sqlite":
        assert db.session.execute(text("SELECT count(*) FROM message_search('cheese')")).scalar() == 0


@SEALING
def test_a_line_from_before_sealing_is_sealed_when_it_is_stored(push: Push, alice: Account, spool: FileSpool) -> None:
    push(record(id="a"))
    leave_behind(spool, "gone", changed(last_line(spool), source_id="b", messages=SAID, sealed=None))
    assert flush().stored == 2
    assert (count(SealedContent), "cheese" in everything()) == (2, False)


def test_a_sealed_line_is_stored_open_when_sealing_is_off_again(push: Push, alice: Account, spool: FileSpool) -> None:
    push(record(id="a"))
    log_id = uuid.uuid4()
    words = seal_words(alice.id, log_id, {"messages": SAID, "extra": None})
    line: dict[str, Any] = {"log_id": str(log_id), "source_id": "b", "messages": [], "extra": None, "sealed": words}
    leave_behind(spool, "gone", changed({**last_line(spool)}, **line))
    assert flush().stored == 2
    assert SAID in db.session.scalars(select(MessageContent.messages)).all()


@SEALING
def test_what_is_set_aside_is_sealed_too(push: Push, alice: Account, spool: FileSpool) -> None:
    push(record(id="a"))
    bad = changed(last_line(spool), source_id="b", at="yesterday", messages=SAID, sealed=None)
    leave_behind(spool, "gone", bad, b"the cheese of nobody\n")
    assert flush().quarantined == 2
    assert "cheese" not in everything()
    opened = [
        open_quarantined(row.user_id, row.id, row.sealed or b"")
        for row in db.session.scalars(select(QuarantinedRecord))
    ]
    assert sorted("cheese" in one for one in opened) == [True, True]


@SEALING
def test_what_nobody_can_open_any_more_is_dropped_and_what_was_damaged_set_aside(
    push: Push, alice: Account, spool: FileSpool
) -> None:
    bob = make_account("bob")
    push(record(id="a", messages=SAID), {"username": "bob", "prompt": "hello", "id": "b"})
    line = last_line(spool)
    leave_behind(spool, "gone", changed(line, log_id=str(uuid.uuid4()), source_id="c"))  # sealed for another place
    with transaction():
        destroy_data_key(alice.id)
    done = flush()
    assert (done.stored, done.dropped, done.quarantined) == (1, 1, 1)
    aside = db.session.scalars(select(QuarantinedRecord)).one()
    assert (aside.reason, aside.user_id) == ("its words cannot be opened", bob.id)


@SEALING
def test_a_bad_line_of_a_user_whose_key_is_destroyed_is_not_kept(push: Push, alice: Account, spool: FileSpool) -> None:
    push(record(id="a"))
    line = last_line(spool)
    flush()
    with transaction():
        destroy_data_key(alice.id)
    leave_behind(spool, "gone", changed(line, source_id="b", at="yesterday"))
    assert (flush().quarantined, count(QuarantinedRecord)) == (0, 0)


def test_of_two_who_store_the_same_at_once_each_record_is_counted_once(
    app: Doorward, push: Push, spool: FileSpool
) -> None:
    """Two hosts may read one stream: what is counted is what was inserted."""
    push(record(id="a", model="m-1"))
    line = last_line(spool)
    flush()
    bodies = [orjson.dumps({**line, "log_id": str(uuid.uuid4()), "source_id": f"b-{n}"}) for n in range(40)]

    def work(_: int) -> tuple[int, int]:
        with app.app_context():
            stored = duplicates = 0
            for body in bodies:
                with transaction():
                    found = read_body(body)
                    assert isinstance(found, WaitingRecord)
                    done = store_records([found])
                stored, duplicates = stored + done.stored, duplicates + done.duplicates
            return stored, duplicates

    done = race(4, work)
    assert (sum(one for one, _ in done), sum(two for _, two in done)) == (40, 120)
    assert count(MessageLog) == 41
    assert db.session.scalars(select(ModelDay.logs)).one() == 41
    assert db.session.scalar(select(func.sum(Conversation.exchanges))) == 41


def test_a_transaction_that_is_rolled_back_leaves_nothing(push: Push, spool: FileSpool) -> None:
    push(record(id="a"))
    made = waiting(spool, source_id="b")
    with pytest.raises(ZeroDivisionError), transaction():
        assert store_records([made]).stored == 1
        raise ZeroDivisionError
    assert (count(MessageLog), count(Conversation), count(ModelDay)) == (0, 0, 0)
    assert store_records([]).stored == 0


def test_all_bad_records_are_found_among_good_ones(push: Push, spool: FileSpool) -> None:
    push(record(id="a"))
    made = [waiting(spool, source_id=f"b-{number}") for number in range(9)]
    for number in (2, 5):
        made[number].client_id = uuid.uuid4()
    with transaction():
        done = store_records(made)
    assert (done.stored, [one.source_id for one, _ in done.bad]) == (7, ["b-2", "b-5"])
    assert {reason.partition(":")[0] for _, reason in done.bad} == {"cannot be stored"}
    assert db.session.scalars(select(ModelDay.logs)).one() == 7


@pytest.mark.parametrize("fault", [AdminShutdown, psycopg.OperationalError, sqlite3.OperationalError, DatabaseGone])
def test_a_fault_of_the_server_is_no_fault_of_a_record(fault: type[Exception]) -> None:
    assert not issubclass(fault, store.POISON)
