"""Sealing what was kept before: nothing of it lies open after, nothing of it is lost, whenever it was ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select, text, update

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import settings
from portal.core.data_keys import DataKey, destroy_data_key, make_data_key
from portal.core.database import db, dialect_name, transaction
from portal.insight.health import check_parts
from portal.jobs.runner import run_job
from portal.messages import sealing_job
from portal.messages.flush import flush
from portal.messages.models import Conversation, MessageContent, MessageLog, QuarantinedRecord, SealedContent
from portal.messages.quarantine import set_aside
from portal.messages.reading import LogFilter, own_conversation, own_conversations, own_hits
from portal.messages.sealing import open_quarantined
from portal.messages.sealing_job import lies_open, seal_message_logs
from portal.messages.spool_file import FileSpool
from portal.web.frame import Doorward
from tests.messages.canaries import places_of
from tests.messages.conftest import changed, last_line, record
from tests.people import actor_named, make_account

Push = Callable[..., list[tuple[str, str | None]]]
WORD, ADDED = "zanzibarwort", "quetzalwort"


@contextmanager
def sealing(*, on: bool = True) -> Iterator[None]:
    """Go on as after a restart with ENCRYPT_MESSAGES on, or off again."""
    settings.enter(settings.current().model_copy(update={"encrypt_messages": on}))
    try:
        yield
    finally:
        settings.leave()


def counted(table: type) -> int:
    """How many rows there are."""
    return db.session.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def kept(push: Push, alice: Account) -> list[str]:
    """Five logs of Alice in two conversations, kept unsealed."""
    for number in range(5):
        words = [{"role": "user", "content": f"Say {WORD}{number}"}, {"role": "assistant", "content": f"{WORD}!"}]
        talk = "one" if number < 3 else "two"
        push(record(id=f"r{number}", messages=words, metadata={"tag": ADDED}, conversation_id=talk))
    flush()
    return [f"Say {WORD}{number}" for number in range(5)]


def said_to(name: str) -> dict[str, str]:
    """Everything a user reads of the own conversations: first words by title."""
    actor = actor_named(name)
    found = {}
    for talk in own_conversations(actor).items:
        for exchange in own_conversation(actor, talk.id)[1]:
            assert exchange.state == "kept" and exchange.extra == {"tag": ADDED}
            found[exchange.messages[0]["content"]] = talk.title
    return found


def test_nothing_is_done_while_sealing_is_off(kept: list[str]) -> None:
    assert not lies_open()
    assert str(seal_message_logs()) == "sealed 0 logs, 0 titles, 0 lines"
    assert counted(MessageContent) == 5
    assert "sealing" not in {part.name for part in check_parts()}


def test_all_is_sealed_and_read_as_before_and_no_word_is_left(kept: list[str], spool: FileSpool) -> None:
    before = said_to("alice")
    assert sorted(before) == kept
    with transaction():
        set_aside("1", b"damaged " + WORD.encode(), "damaged line")
    spool.close()
    assert places_of(WORD) and places_of(ADDED)
    with sealing():
        assert lies_open()
        run = run_job("seal_message_logs", by_hand=True)
        assert run is not None and run.summary == "sealed 5 logs, 2 titles, 1 lines"
        assert not lies_open()
        assert said_to("alice") == before
        assert (counted(MessageContent), counted(SealedContent)) == (0, 5)
        assert set(db.session.scalars(select(Conversation.title))) == {""}
        aside = db.session.scalars(select(QuarantinedRecord)).one()
        assert aside.line is None and WORD in open_quarantined(None, aside.id, aside.sealed or b"")
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "messages.sealed")).one()
        assert entry.facts == {"count": 5}
        part = {part.name: part for part in check_parts()}["sealing"]
        assert (part.state, part.words) == ("ok", "every log is sealed")
        if dialect_name() == "sqlite":
            assert db.session.scalar(text("SELECT count(*) FROM message_search")) == 0
    flush()  # so that the spool lets its file go
    assert places_of(WORD, ADDED) == set()


def test_a_line_set_aside_is_work_enough(app: Doorward) -> None:
    with transaction():
        set_aside("1", b"damaged " + WORD.encode(), "damaged line")
    with sealing():
        assert lies_open()
        assert str(seal_message_logs()) == "sealed 0 logs, 0 titles, 1 lines"
        assert not lies_open()


def test_it_goes_on_where_it_was_ended(kept: list[str], monkeypatch: pytest.MonkeyPatch, spool: FileSpool) -> None:
    monkeypatch.setattr(sealing_job, "BATCH", 2)
    monkeypatch.setattr(sealing_job, "RUN_S", 0)
    before = said_to("alice")
    with sealing():
        part = {part.name: part for part in check_parts()}["sealing"]
        assert (part.state, part.matters) == ("warning", False)
        assert str(seal_message_logs()) == "sealed 2 logs, 1 titles, 0 lines, at most 3 logs left"
        assert said_to("alice") == before  # some sealed, some not yet
        dying = sealing_job._forget_index
        monkeypatch.setattr(sealing_job, "RUN_S", 60)

        def die() -> None:
            dying()
            raise KeyboardInterrupt

        monkeypatch.setattr(sealing_job, "_forget_index", die)
        with pytest.raises(KeyboardInterrupt):
            seal_message_logs()
        assert lies_open() and counted(MessageContent) == 1
        assert said_to("alice") == before
        monkeypatch.setattr(sealing_job, "_forget_index", dying)
        assert str(seal_message_logs()) == "sealed 1 logs, 0 titles, 0 lines"
        assert not lies_open()
        assert said_to("alice") == before
    spool.close()
    flush()  # so that the spool lets its file go
    assert places_of(WORD, ADDED) == set()


def test_switched_off_again_the_new_is_open_and_the_sealed_is_still_read(kept: list[str], push: Push) -> None:
    with sealing():
        seal_message_logs()
    push(record(id="new", metadata={"tag": ADDED}))
    flush()
    assert (counted(MessageContent), counted(SealedContent)) == (1, 5)
    assert sorted(said_to("alice")) == sorted([*kept, "hello"])
    assert len(own_hits(actor_named("alice"), LogFilter(search="hello")).items) == 1
    assert own_hits(actor_named("alice"), LogFilter(search=f"{WORD}1")).items == []
    assert not lies_open()


def test_a_search_looks_at_the_metadata_only_from_the_moment_it_is_on(kept: list[str]) -> None:
    with sealing():
        for _ in range(2):
            assert own_hits(actor_named("alice"), LogFilter(search=WORD)).items == []
            assert len(own_hits(actor_named("alice"), LogFilter(search="one")).items) == 1
            assert len(own_hits(actor_named("alice"), LogFilter(search="r3")).items) == 1
            seal_message_logs()


def test_what_is_of_a_destroyed_key_is_erased_and_the_rest_sealed(kept: list[str], push: Push, alice: Account) -> None:
    make_account("bob")
    push({"username": "bob", "prompt": f"bob says {WORD}", "id": "b", "metadata": {"tag": ADDED}})
    flush()
    with transaction():
        set_aside("1", changed({"user_id": str(alice.id)}, messages=[WORD]), "wrong")
        destroy_data_key(alice.id)
    with sealing():
        assert str(seal_message_logs()) == "sealed 6 logs, 3 titles, 1 lines"
        assert not lies_open() and counted(QuarantinedRecord) == 0
        logs = db.session.scalars(select(MessageLog).where(MessageLog.user_id == alice.id)).all()
        assert {(bytes(log.digest), log.extra) for log in logs} == {(b"", None)}
        talk = own_conversations(actor_named("alice")).items[0]
        assert talk.title == ""
        assert {one.state for one in own_conversation(actor_named("alice"), talk.id)[1]} == {"gone"}
        assert list(said_to("bob")) == [f"bob says {WORD}"]


def test_what_lacks_a_key_is_left_as_it_is(kept: list[str], push: Push, alice: Account, spool: FileSpool) -> None:
    push({"username": make_account("bob").username, "prompt": "hello bob", "id": "b"})
    line = last_line(spool)
    flush()
    with transaction():
        set_aside("1", changed({**line, "user_id": str(alice.id)}), "wrong")
    make_data_key(alice.id)
    with transaction():
        db.session.execute(update(DataKey).values(wrapped_by="lost"))
    before = said_to("alice")
    with sealing():
        assert str(seal_message_logs()) == "sealed 1 logs, 1 titles, 0 lines, at most 5 logs left, 6 lack a key"
        assert said_to("alice") == before
        assert counted(QuarantinedRecord) == 1 and lies_open()


def test_a_title_whose_words_are_gone_is_sealed_as_well(kept: list[str], alice: Account) -> None:
    with transaction():
        numbers = db.session.scalars(select(MessageLog.number).order_by(MessageLog.number).limit(3)).all()
        for content in db.session.scalars(select(MessageContent).where(MessageContent.number.in_(numbers))):
            db.session.delete(content)
        db.session.execute(update(MessageLog).where(MessageLog.number.in_(numbers)).values(extra={}))
    with sealing():
        assert str(seal_message_logs()) == "sealed 2 logs, 2 titles, 0 lines"
        assert {talk.title for talk in own_conversations(actor_named("alice")).items} == {kept[0], kept[3]}


@pytest.mark.parametrize("setting", [{"encrypt_messages": True}])
def test_a_metric_says_how_much_lies_open(app: Doorward, push: Push, alice: Account) -> None:
    with sealing(on=False):
        push(record(id="a"))
        flush()
    assert "doorward_unsealed_logs 1.0" in app.test_client().get("/metrics").text
    seal_message_logs()
    assert "doorward_unsealed_logs 0.0" in app.test_client().get("/metrics").text
