"""Large exports: made whole, fetched by one person for a while, and gone when their time is over."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, NotFound
from portal.messages import export_files, export_rows
from portal.messages.export_files import drop_exports, exports_folder
from portal.messages.exporting import (
    drop_export,
    export_logs_of,
    link_to_export,
    open_export,
    own_export,
    own_exports,
)
from portal.messages.flush import flush
from portal.messages.reading import LogFilter
from portal.privacy.deletion import delete_user
from portal.work import long_work
from portal.work.long_work import begin_work
from portal.work.models import LongWork
from tests.messages.conftest import record
from tests.messages.exports import COUNT, DAY, Push, ask, fetch, files, link_of, stored, work_off
from tests.people import actor_named, make_account


@pytest.fixture
def setting() -> dict[str, Any]:
    """Anything above one log is large."""
    return {"export_most_streamed": 1}


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two logs a batch, and each of them is told."""
    monkeypatch.setattr(export_rows, "BATCH", 2)
    monkeypatch.setattr(export_files, "ADVANCE_S", 0)


@pytest.fixture
def logs(push: Push) -> None:
    """Seven logs of Alice; Bob is there too."""
    make_account("bob")
    push(*(record(id=f"r{number}") for number in range(COUNT)))
    flush()


def test_it_is_made_by_the_job_and_fetched_by_its_link(logs: None) -> None:
    work = ask()
    assert link_to_export(actor_named("alice"), stored(work)) is None
    work_off()
    now = stored(work)
    assert (now.state, now.done, now.total, now.summary) == ("done", COUNT, COUNT, "7")
    (name,) = files()
    assert name == now.file
    assert (exports_folder() / name).stat().st_mode & 0o777 == 0o600
    assert exports_folder().stat().st_mode & 0o777 == 0o700
    assert [line["source_id"] for line in fetch(work, link_of(work))] == [f"r{number}" for number in range(COUNT)]
    assert fetch(work, link_of(work)), "as often as one likes, while its time runs"


def test_the_link_itself_is_stored_nowhere(logs: None) -> None:
    work = ask()
    work_off()
    link, now = link_of(work), stored(work)
    assert link.encode() not in (now.link_digest or b"")
    assert link not in json.dumps(now.arguments) + (now.file or "") + now.summary


def test_how_far_it_is_is_told_while_it_runs(logs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int, int | None]] = []
    work, advance = ask(), long_work.advance

    def watched(*arguments: Any) -> None:
        advance(*arguments)
        now = stored(work)
        seen.append((now.state, now.done, now.total))

    monkeypatch.setattr(export_files, "advance", watched)
    work_off()
    assert [done for _, done, _ in seen] == [0, 2, 4, 6, 7, 7]
    assert {(state, total) for state, _, total in seen} == {("running", COUNT)}


def test_nobody_else_gets_it_even_with_the_link(logs: None) -> None:
    make_account("ada")
    make_account("tara")
    work = ask()
    work_off()
    link = link_of(work)
    for name in ("bob", "ada", "tara"):
        with pytest.raises(NotFound):
            fetch(work, link, name)
        assert own_exports(actor_named(name)) == []
    for bad in ("", "x" * 40, link[:-1], link.upper()):
        with pytest.raises(NotFound):
            fetch(work, bad)


def test_the_link_of_one_file_opens_no_other(logs: None) -> None:
    first, second = ask(), ask("csv")
    work_off()
    with pytest.raises(NotFound):
        fetch(first, link_of(second))


def test_when_its_time_is_over_link_and_file_are_gone(logs: None) -> None:
    work = ask()
    work_off()
    link = link_of(work)
    assert drop_exports() == 0
    clock.shift(DAY + timedelta(seconds=1))
    assert link_to_export(actor_named("alice"), stored(work)) is None
    with pytest.raises(NotFound):
        fetch(work, link)
    assert drop_exports() == 1
    assert files() == []
    assert (stored(work).state, stored(work).file, stored(work).link_digest) == ("done", None, None)
    clock.shift(40 * DAY)
    drop_exports()
    assert own_exports(actor_named("alice")) == []


def test_a_session_that_was_ended_everywhere_ends_the_link(logs: None, alice: Account) -> None:
    work = ask()
    work_off()
    link = link_of(work)
    with transaction():
        db.session.get_one(Account, alice.id).epoch += 1
    with pytest.raises(NotFound):
        fetch(work, link)


def test_deleting_it_deletes_the_file_at_once(logs: None) -> None:
    work = ask()
    with pytest.raises(Conflict), transaction():
        drop_export(actor_named("alice"), work.id)
    work_off()
    with pytest.raises(NotFound), transaction():
        drop_export(actor_named("bob"), work.id)
    with transaction():
        drop_export(actor_named("alice"), work.id)
    assert (files(), own_exports(actor_named("alice"))) == ([], [])


def test_of_somebody_deleted_nothing_is_made_and_nothing_is_fetched(logs: None, alice: Account) -> None:
    done = ask()
    work_off()
    link, waiting, who = link_of(done), ask(), actor_named("alice")
    with transaction():
        delete_user(operator_actor().because("asked for it"), alice.id, typed_name="alice")
    work_off()
    assert (stored(waiting).state, stored(waiting).summary) == ("failed", "gone")
    with pytest.raises(NotFound):
        open_export(who, done.id, link)
    assert drop_exports() == 1
    assert files() == []


def test_anothers_large_one_is_for_who_asked_while_they_may(logs: None, alice: Account) -> None:
    ada, bob = make_account("ada"), actor_named("bob")
    with transaction():
        made = export_logs_of(actor_named("ada").because("a case"), alice.id, LogFilter(), "jsonl").work
        later = export_logs_of(actor_named("ada").because("a case"), alice.id, LogFilter(), "jsonl").work
    assert made is not None
    assert later is not None
    with transaction():
        db.session.get_one(LongWork, later.id).created_at = clock.now() + DAY
        db.session.get_one(LongWork, later.id).state = "stopped"
    work_off()
    link = link_of(made, "ada")
    for name in ("alice", bob.name):
        with pytest.raises(NotFound):
            fetch(made, link, name)
    assert len(fetch(made, link, "ada")) == COUNT
    read = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "conversation.read")).all()
    assert {(one.actor_name, one.reason) for one in read} == {("ada", "a case")}
    assert sum(one.facts["count"] for one in read) == COUNT
    with transaction():
        db.session.get_one(Account, ada.id).permissions = []  # type: ignore[attr-defined]  # an admin has some
        db.session.get_one(LongWork, later.id).state = "waiting"
    with pytest.raises(Forbidden):
        fetch(made, link, "ada")
    work_off()
    assert (stored(later).state, stored(later).summary) == ("failed", "gone")


def test_a_work_of_another_kind_is_no_export(logs: None) -> None:
    with transaction():
        work = begin_work(actor_named("alice"), "something", {})
    with pytest.raises(NotFound):
        own_export(actor_named("alice"), work.id)
    assert own_exports(actor_named("alice")) == []
