"""The purge: words go with the content clock, the rest with that of the metadata, and nothing goes before its time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from portal.accounts.models import Account, User
from portal.clients.models import ServiceClient
from portal.core import clock
from portal.core.database import db, dialect_name, transaction
from portal.core.ids import new_id
from portal.jobs.runner import run_job
from portal.messages import purging, searching
from portal.messages.keeping import CHOICES, Keeping, keeping_by
from portal.messages.models import Conversation, QuarantinedRecord
from portal.messages.opening import open_for_30_minutes
from portal.messages.purging import purge_message_logs
from portal.messages.quarantine import set_aside
from portal.messages.sealing import open_title
from portal.messages.spool_protocol import line_of
from portal.usage.models import Plan
from portal.usage.plans import default_plan
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.messages.canaries import places_of
from tests.messages.stored import a_client, hits_of, index_is_whole, keep, left_of, record_of, store
from tests.people import actor_named, make_account
from tests.visitor import Visitor

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def choose(account: Account, choice: str) -> None:
    """As the page does."""
    with transaction():
        db.session.execute(update(User).where(User.account_id == account.id).values(keep_messages=choice))


def expected(keeping: Keeping, age: timedelta) -> str:
    """What is to be left of a log this old."""
    if keeping.metadata_days is None or age >= timedelta(days=keeping.metadata_days):
        return "nothing"
    if keeping.content_days is None or age >= timedelta(days=keeping.content_days):
        return "metadata"
    return "words"


AGES = st.integers(0, 400).flatmap(lambda days: st.sampled_from([-1, 0, 1]).map(lambda s: days * DAY + s * HOUR))
LOGS = st.tuples(
    st.sampled_from(CHOICES),
    st.none() | st.sampled_from([0, 1, 7, 8, 30, 90, 1_000_000]),
    AGES.filter(lambda a: a >= 0 * DAY),
)


@pytest.mark.parametrize("setting", [{"log_retention_days": 40}])
@given(logs=st.lists(LOGS, min_size=1, max_size=6), later=AGES)
@budget(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_of_every_log_there_is_left_what_choice_plan_and_age_say(
    app: Doorward, logs: list[tuple[str, int | None, timedelta]], later: timedelta
) -> None:
    now = clock.now()
    made = []
    for choice, days, age in logs:
        name = f"u{new_id().hex[:20]}"
        with transaction():
            plan = Plan(
                id=new_id(), name=name, daily_limit=1, rate_per_minute=None, retention_days=days, created_at=now
            )
            db.session.add(plan)
        account = make_account(name, plan_id=plan.id)
        made.append((account, choice, days, age, keep(account.id, "a lantern", now - age)))
    for account, choice, *_ in made:
        choose(account, choice)
    for shift in (timedelta(0), later):
        clock.shift(shift)
        purge_message_logs()
        for _, choice, days, age, source_id in made:
            assert left_of(source_id) == expected(keeping_by(choice, days), age + shift), (choice, days, age)
        assert str(purge_message_logs()) == str(purging.Purged()), "a second run finds nothing more"
    clock.shift(timedelta(0))
    assert index_is_whole()


def test_purged_words_are_found_by_nobody_and_lie_nowhere(app: Doorward) -> None:
    alice = make_account("alice", keep_messages="7")
    old = keep(alice.id, "a nightjar sang", clock.now() - 8 * DAY)
    young = keep(alice.id, "a lantern shone", clock.now() - 6 * DAY)
    assert (hits_of("alice", "nightjar"), hits_of("alice", "lantern")) == (1, 1)
    assert str(purge_message_logs()) == "purged the words of 1, whole logs 0, quarantined 0, openings 0"
    assert (left_of(old), left_of(young)) == ("metadata", "words")
    assert (hits_of("alice", "nightjar"), hits_of("alice", "lantern")) == (0, 1)
    assert index_is_whole()
    if dialect_name() == "sqlite":  # its log of changes goes by itself, with the next that are made
        db.session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    assert places_of("nightjar") == set()
    assert places_of("lantern") != set()


def test_a_title_goes_with_its_words_and_the_next_that_are_kept_take_its_place(app: Doorward) -> None:
    alice = make_account("alice", keep_messages="7")
    for words, days in (("a nightjar sang", 8), ("a lantern shone", 6), ("an owl", 1)):
        keep(alice.id, words, clock.now() - days * DAY, conversation="talk")
    title = select(Conversation.title)
    assert db.session.scalar(title) == "a nightjar sang"
    purge_message_logs()
    assert db.session.scalar(title) == "a lantern shone"
    choose(alice, "metadata")
    purge_message_logs()
    assert db.session.scalar(title) == ""
    choose(alice, "nothing")
    purge_message_logs()
    assert db.session.scalars(title).all() == []


@pytest.mark.parametrize("setting", [{"encrypt_messages": True}])
def test_sealed_words_and_titles_go_alike(app: Doorward) -> None:
    alice = make_account("alice", keep_messages="7")
    old = keep(alice.id, "a nightjar sang", clock.now() - 8 * DAY, conversation="talk")
    young = keep(alice.id, "a lantern shone", clock.now() - 6 * DAY, conversation="talk")
    purge_message_logs()
    assert (left_of(old), left_of(young)) == ("metadata", "words")
    talk = db.session.scalars(select(Conversation)).one()
    assert (talk.title, open_title(alice.id, talk.id, talk.sealed_title or b"")) == ("", "a lantern shone")
    choose(alice, "metadata")
    purge_message_logs()
    db.session.refresh(talk)
    assert (left_of(young), talk.title, talk.sealed_title) == ("metadata", "", None)


def test_a_conversation_counts_what_is_left_of_it(app: Doorward) -> None:
    alice = make_account("alice")
    for days in (31, 30, 29, 1):
        keep(alice.id, "a lantern", clock.now() - days * DAY, conversation="long")
    keep(alice.id, "an owl", clock.now() - 31 * DAY, conversation="short")
    purge_message_logs()
    talks = db.session.execute(select(Conversation.source_id, Conversation.exchanges)).all()
    assert talks == [("long", 2)]


def test_a_smaller_plan_and_a_shorter_choice_are_felt_by_the_next_run(app: Doorward) -> None:
    plus = db.session.scalars(select(Plan.id).where(Plan.name == "plus")).one()
    alice = make_account("alice", plan_id=plus)
    made = [keep(alice.id, "a lantern", clock.now() - days * DAY) for days in (300, 100, 20, 3)]
    purge_message_logs()
    assert [left_of(one) for one in made] == ["words"] * 4
    with transaction():
        db.session.execute(update(Plan).where(Plan.id == plus).values(retention_days=200))
    purge_message_logs()
    assert [left_of(one) for one in made] == ["nothing", "words", "words", "words"]
    with transaction():
        db.session.get_one(User, alice.id).plan_id = default_plan().id
    purge_message_logs()
    assert [left_of(one) for one in made] == ["nothing", "nothing", "words", "words"]
    choose(alice, "7")
    purge_message_logs()
    assert [left_of(one) for one in made] == ["nothing", "nothing", "metadata", "words"]
    choose(alice, "nothing")
    purge_message_logs()
    assert [left_of(one) for one in made] == ["nothing"] * 4


def test_an_id_whose_log_is_gone_may_be_used_again_and_one_whose_words_are_gone_is_a_duplicate(
    app: Doorward, machine: Callable[..., Machine]
) -> None:
    gate, alice = machine(), make_account("alice", keep_messages="7")
    client = db.session.scalars(select(ServiceClient.id)).one()
    for source_id, days in (("gone", 31), ("bare", 8)):
        then = clock.now() - days * DAY
        store(record_of(alice.id, client, source_id, "a lantern", received_at=then, at=then))
    purge_message_logs()
    again = [{"id": source_id, "username": "alice", "prompt": "an owl"} for source_id in ("gone", "bare")]
    results = gate.post("/message-logs", {"records": again}).get_json()["results"]
    assert [result["status"] for result in results] == ["accepted", "duplicate"]


def line_of_record(account: Account, words: str) -> bytes:
    record = record_of(account.id, a_client(), str(new_id()), words)
    return line_of(msgspec.json.encode(record))


@pytest.mark.parametrize("setting", [{}, {"encrypt_messages": True}])
def test_what_was_set_aside_loses_its_words_and_then_goes(app: Doorward) -> None:
    alice = make_account("alice", keep_messages="7")
    with transaction():
        assert set_aside("1", line_of_record(alice, "a nightjar sang"), "odd")
        assert set_aside("2", b"a nightjar that nobody can read", "damaged line")
    row = select(QuarantinedRecord).where(QuarantinedRecord.user_id == alice.id)
    assert purge_message_logs().quarantined == 0
    clock.shift(8 * DAY)
    assert (purge_message_logs().quarantined, purge_message_logs().quarantined) == (1, 0)
    aside = db.session.scalars(row).one()
    db.session.refresh(aside)
    assert aside.sealed is None
    assert "nightjar" not in (aside.line or "x") and "m-1" in (aside.line or "")
    clock.shift(31 * DAY)
    assert (purge_message_logs().quarantined, db.session.scalars(row).all()) == (1, [])
    clock.shift(366 * DAY)
    assert (purge_message_logs().quarantined, purge_message_logs().quarantined) == (1, 0)


def test_openings_that_are_over_are_forgotten(app: Doorward) -> None:
    alice, _ = make_account("alice"), make_account("ada")
    with transaction():
        open_for_30_minutes(actor_named("ada").because("a complaint"), alice.id)
    assert purge_message_logs().openings == 0
    clock.shift(timedelta(minutes=31))
    assert (purge_message_logs().openings, purge_message_logs().openings) == (1, 0)


def test_a_run_that_dies_keeps_what_it_did_and_the_next_goes_on(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 2)
    alice = make_account("alice")
    made = [keep(alice.id, f"lantern {one}", clock.now() - 31 * DAY) for one in range(5)]
    drop, batches = searching.drop_words, iter(range(5))

    def die(said: list[Any]) -> None:
        if next(batches) == 1:
            raise KeyboardInterrupt
        drop(said)

    monkeypatch.setattr(purging, "drop_words", die)
    with pytest.raises(KeyboardInterrupt):
        purge_message_logs()
    assert sorted(left_of(one) for one in made) == ["nothing"] * 2 + ["words"] * 3
    assert index_is_whole()
    monkeypatch.setattr(purging, "drop_words", drop)
    assert purge_message_logs().logs == 3
    assert index_is_whole()


def test_windows_and_batches_leave_nothing_between_them(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 3)
    monkeypatch.setattr(purging, "WINDOW", 4)
    alice = make_account("alice", keep_messages="7")
    ages = [3, 8, 31, 3, 3, 3, 3, 3, 31, 31, 31, 31, 8, 8, 8, 8, 3, 31]
    made = [keep(alice.id, f"lantern {one}", clock.now() - days * DAY) for one, days in enumerate(ages)]
    run = run_job("purge_message_logs", by_hand=True)
    assert run is not None
    assert run.summary == "purged the words of 5, whole logs 6, quarantined 0, openings 0"
    assert [left_of(one) for one in made] == [{3: "words", 8: "metadata", 31: "nothing"}[days] for days in ages]
    assert index_is_whole()


def test_what_waits_for_the_purge_is_measured(app: Doorward, visitor: Visitor) -> None:
    alice = make_account("alice")
    assert "doorward_overdue_logs 0.0" in visitor.client.get("/metrics").text
    for days in (31, 31, 3):
        keep(alice.id, "a lantern", clock.now() - days * DAY)
    assert "doorward_overdue_logs 2.0" in visitor.client.get("/metrics").text
    purge_message_logs()
    assert "doorward_overdue_logs 0.0" in visitor.client.get("/metrics").text
