"""Reading what was said: one's own as one likes, that of others with a capability, a reason and an entry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.data_keys import destroy_data_key
from portal.core.database import db, transaction
from portal.core.errors import CaseNeeded, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.messages.flush import flush
from portal.messages.models import ContentOpening, MessageContent, MessageLog, SealedContent
from portal.messages.opening import Content, find_opening, open_contents, open_for_30_minutes
from portal.messages.reading import LogFilter, search_logs
from portal.messages.sealing import seal_content
from tests.messages.conftest import record
from tests.people import acting, actor_named, make_account

Push = Callable[..., list[tuple[str, str | None]]]
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "hello"}]
KEPT = Content("kept", HELLO, None)
GONE = Content("gone", [], None)


@pytest.fixture
def logs(push: Push) -> list[MessageLog]:
    """Two logs of Alice and one of Bob."""
    make_account("bob")
    push(record(id="a", metadata={"tag": 1}), record(id="b"), {"username": "bob", "prompt": "hi", "id": "c"})
    flush()
    return list(db.session.scalars(select(MessageLog).order_by(MessageLog.source_id)))


def entries(event: str = "conversation.read") -> list[AuditEntry]:
    """What was written of it."""
    return list(db.session.scalars(select(AuditEntry).where(AuditEntry.event == event).order_by(AuditEntry.id)))


def seal_it(log: MessageLog, sealed: bytes) -> None:
    """Have a log's content sealed."""
    with transaction():
        db.session.execute(delete(MessageContent).where(MessageContent.number == log.number))
        db.session.add(SealedContent(number=log.number, sealed=sealed))


def test_ones_own_is_read_without_a_reason_and_without_an_entry(logs: list[MessageLog]) -> None:
    a, b, _ = logs
    opened = open_contents(actor_named("alice"), [a, b], what="page")
    assert opened == {a.number: Content("kept", HELLO, {"tag": 1}), b.number: KEPT}
    assert open_contents(actor_named("alice"), [], what="page") == {}
    with transaction():
        pass
    assert entries() == []


def test_a_user_reads_nothing_of_another(logs: list[MessageLog]) -> None:
    for some in (logs, logs[2:]):
        with pytest.raises(Forbidden):
            open_contents(actor_named("alice").because("curious"), some, what="page")


@pytest.mark.parametrize("name", ["tess", "theo", "max"])
def test_who_lacks_the_right_reads_nothing(logs: list[MessageLog], name: str) -> None:
    make_account(name)
    who = actor_named(name).because("a case")
    for read in (
        lambda: open_contents(who, logs, what="page"),
        lambda: find_opening(who, logs[0].user_id),
        lambda: open_for_30_minutes(who, logs[0].user_id),
    ):
        with pytest.raises(Forbidden):
            read()


def test_at_the_desk_it_takes_a_case_about_each_user(logs: list[MessageLog], alice: Account) -> None:
    make_account("tara")
    tara = acting("tara", alice)
    with transaction():
        assert len(open_contents(tara, logs[:2], what="page")) == 2
    for read in (
        lambda: open_contents(tara, logs, what="page"),
        lambda: open_contents(actor_named("tara").because("curious"), logs[:1], what="page"),
        lambda: open_for_30_minutes(tara, logs[2].user_id),
        lambda: search_logs(tara, LogFilter(search="hello"), what="page"),
        lambda: search_logs(tara, LogFilter(search="hello", user_id=logs[2].user_id), what="page"),
    ):
        with pytest.raises(CaseNeeded), transaction():
            read()
    assert [one.target_name for one in entries()] == ["alice"]


@pytest.mark.parametrize("name", ["ada"])
def test_who_has_the_right_gives_a_reason_and_leaves_an_entry_for_each_user(logs: list[MessageLog], name: str) -> None:
    make_account(name)
    for reason in ("", "   "):
        with pytest.raises(Invalid) as told:
            open_contents(actor_named(name).because(reason), logs, what="page")
        assert set(told.value.fields) == {"reason"}
    with pytest.raises(Invalid):
        open_contents(actor_named(name), logs, what="page")
    with transaction():
        opened = open_contents(actor_named(name).because("asked by phone"), logs, what="export")
    assert [opened[log.number].state for log in logs] == ["kept"] * 3
    found = {(one.target_name, one.facts["count"]): one for one in entries()}
    assert set(found) == {("alice", 2), ("bob", 1)}
    for one in found.values():
        assert (one.actor_name, one.reason, one.facts["what"]) == (name, "asked by phone", "export")


def test_whoever_owns_the_machine_gives_a_reason_too(logs: list[MessageLog]) -> None:
    with pytest.raises(Invalid):
        open_contents(operator_actor(), logs, what="tool")
    with transaction():
        assert len(open_contents(operator_actor().because("a court order"), logs, what="tool")) == 3
    assert len(entries()) == 2


def test_what_is_not_kept_any_more_is_told_as_gone(logs: list[MessageLog]) -> None:
    a, b, _ = logs
    with transaction():
        db.session.execute(delete(MessageContent).where(MessageContent.number == a.number))
    assert open_contents(actor_named("alice"), [a, b], what="page") == {a.number: GONE, b.number: KEPT}


def test_what_is_sealed_is_opened_and_what_cannot_be_is_locked(logs: list[MessageLog]) -> None:
    a, b, _ = logs
    seal_it(a, seal_content(a.user_id, a.id, {"messages": HELLO, "extra": {"x": 1}}))
    seal_it(b, seal_content(a.user_id, a.id, {"messages": HELLO, "extra": None}))
    opened = open_contents(actor_named("alice"), [a, b], what="page")
    assert opened == {a.number: Content("kept", HELLO, {"x": 1}), b.number: Content("locked", [], None)}


def test_what_lies_under_a_destroyed_key_is_gone(logs: list[MessageLog]) -> None:
    a, b, _ = logs
    seal_it(a, seal_content(a.user_id, a.id, {"messages": HELLO, "extra": None}))
    with transaction():
        destroy_data_key(a.user_id)
    assert open_contents(actor_named("alice"), [a, b], what="page") == {a.number: GONE, b.number: KEPT}


def test_many_logs_are_opened_at_once(push: Push) -> None:
    push(*(record(id=str(number)) for number in range(900)))
    flush()
    logs = list(db.session.scalars(select(MessageLog)))
    opened = open_contents(actor_named("alice"), logs, what="export")
    assert len(opened) == 900
    assert all(content == KEPT for content in opened.values())


@pytest.mark.parametrize("setting", [{"content_open_s": 600}])
def test_a_reason_opens_the_words_of_a_user_for_a_while(logs: list[MessageLog], alice: Account) -> None:
    make_account("tara")
    make_account("ada")
    tara, ada = acting("tara", alice), actor_named("ada")
    with pytest.raises(Invalid):
        open_for_30_minutes(tara.because(""), alice.id)
    with transaction():
        made = open_for_30_minutes(tara.because("asked by phone"), alice.id)
    assert made.until == made.opened_at + timedelta(minutes=10)
    opening = find_opening(tara, alice.id)
    assert opening is not None
    assert opening.reason == "asked by phone"
    assert find_opening(tara, alice.id, logs[0].id) is opening
    assert find_opening(ada, alice.id) is None
    assert find_opening(tara, logs[2].user_id) is None
    with transaction():
        open_contents(tara.because(opening.reason), logs[:2], what="page")
    assert [one.reason for one in entries() + entries("conversation.opened")] == ["asked by phone"] * 2
    clock.shift(timedelta(minutes=11))
    assert find_opening(tara, alice.id) is None


def test_one_log_may_be_opened_alone(logs: list[MessageLog], alice: Account) -> None:
    make_account("tara")
    tara = acting("tara", alice)
    with transaction():
        open_for_30_minutes(tara.because("this one"), alice.id, log_id=logs[0].id)
    assert find_opening(tara, alice.id, logs[0].id) is not None
    assert find_opening(tara, alice.id, logs[1].id) is None
    assert find_opening(tara, alice.id) is None
    assert entries("conversation.opened")[0].facts["log"] == str(logs[0].id)


def test_nothing_is_opened_of_who_is_no_user_or_for_who_is_no_person(alice: Account) -> None:
    tess = make_account("tess")
    make_account("ada")
    for nobody in (new_id(), tess.id):
        with pytest.raises(NotFound):
            open_for_30_minutes(actor_named("ada").because("x"), nobody)
    with pytest.raises(Forbidden):
        open_for_30_minutes(operator_actor().because("x"), alice.id)
    assert db.session.scalars(select(ContentOpening)).all() == []
