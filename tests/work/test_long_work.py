"""Long work: asked for, done one at a time, stopped, gone on with or given up after its process died."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.core import clock
from portal.core.access import job_actor, operator_actor
from portal.core.database import db, transaction
from portal.core.errors import NotFound
from portal.web.frame import Doorward
from portal.work.long_work import (
    DIED,
    LEASE,
    WORKERS,
    TakenOver,
    Worker,
    advance,
    begin_work,
    do_long_works,
    own_work,
    own_works,
    stop_work,
    works_wait,
)
from portal.work.models import LongWork
from tests.people import actor_named, make_account
from tests.races import race

Teach = Callable[..., None]


@pytest.fixture
def alice(app: Doorward) -> Account:
    """Who asks."""
    return make_account("alice")


@pytest.fixture
def teach(monkeypatch: pytest.MonkeyPatch) -> Teach:
    """Know a kind of work for one test: `teach(run)`."""

    def know(run: Callable[[LongWork], str], *, resumes: bool = False) -> None:
        monkeypatch.setitem(WORKERS, "count", Worker(run, resumes=resumes))

    return know


def ask(kind: str = "count", **arguments: Any) -> LongWork:
    """A work that Alice asked for."""
    with transaction():
        return begin_work(actor_named("alice"), kind, arguments, epoch=3)


def noting(numbers: list[int]) -> Callable[[LongWork], str]:
    """A way to do works that only notes which were done."""

    def note(work: LongWork) -> str:
        numbers.append(work.arguments["number"])
        return "noted"

    return note


def stored(work: LongWork) -> LongWork:
    """The work as the database has it."""
    db.session.expire_all()
    return db.session.scalars(select(LongWork).where(LongWork.id == work.id)).one()


def begun(work: LongWork, **values: Any) -> LongWork:
    """The work as another process has it, held for a LEASE."""
    with transaction():
        row = stored(work)
        row.state, row.holder, row.fence = "running", "another process", row.fence + 1
        row.held_until = clock.now() + LEASE
        for name, value in values.items():
            setattr(row, name, value)
    return row


def test_a_work_waits_is_done_and_says_what_came_of_it(alice: Account, teach: Teach) -> None:
    def count(work: LongWork) -> str:
        for done in range(1, 4):
            advance(work, done, 3)
            assert (stored(work).state, stored(work).done) == ("running", done)
        return f"counted to {work.done} for {work.arguments['whom']}"

    teach(count)
    work = ask(whom="me")
    assert (work.state, work.owner_id, work.asked_by, work.epoch) == ("waiting", alice.id, "alice", 3)
    assert works_wait()
    assert do_long_works() == 1
    now = stored(work)
    assert (now.state, now.summary, now.done, now.total) == ("done", "counted to 3 for me", 3, 3)
    assert now.started_at and now.finished_at and now.held_until is None
    assert not works_wait()
    assert do_long_works() == 0


def test_the_earliest_is_done_first(alice: Account, teach: Teach) -> None:
    order: list[int] = []
    teach(noting(order))
    for number in range(3):
        ask(number=number)
        clock.shift(timedelta(seconds=number + 1))
    assert (do_long_works(), order) == (3, [0, 1, 2])


def test_several_who_ask_do_each_work_once(alice: Account, app: Doorward, teach: Teach) -> None:
    done: list[int] = []
    teach(noting(done))
    for number in range(6):
        ask(number=number)

    def work(_number: int) -> int:
        with app.app_context():
            return do_long_works()

    assert sum(race(4, work)) == 6
    assert sorted(done) == list(range(6))


def test_a_work_that_raises_has_failed_and_the_next_is_done(alice: Account, teach: Teach) -> None:
    def count(work: LongWork) -> str:
        if work.arguments["bad"]:
            raise RuntimeError("words of a user")
        return "fine"

    teach(count)
    bad, good = ask(bad=True), ask(bad=False)
    assert do_long_works() == 2
    assert (stored(bad).state, stored(bad).summary) == ("failed", "RuntimeError")
    assert (stored(good).state, stored(good).summary) == ("done", "fine")


def test_a_kind_that_nobody_knows_fails(alice: Account) -> None:
    work = ask("no_such_work")
    assert do_long_works() == 1
    assert stored(work).state == "failed"


def test_one_that_waits_is_stopped_at_once(alice: Account, teach: Teach) -> None:
    teach(lambda work: "done")
    work = ask()
    for _ in range(2):
        with transaction():
            stop_work(actor_named("alice"), work.id)
    assert stored(work).state == "stopped"
    assert do_long_works() == 0


def test_one_that_runs_is_stopped_at_its_next_step(alice: Account, teach: Teach) -> None:
    steps: list[int] = []

    def count(work: LongWork) -> str:
        for step in range(5):
            advance(work, step)
            steps.append(step)
            if step == 2:
                with transaction():
                    stop_work(actor_named("alice"), work.id)
        return "never"

    teach(count)
    work = ask()
    do_long_works()
    assert (steps, stored(work).state, stored(work).summary) == ([0, 1, 2], "stopped", "")
    with transaction():
        stop_work(actor_named("alice"), work.id)
    assert stored(work).state == "stopped"


def test_nobody_sees_or_stops_the_work_of_another(alice: Account) -> None:
    make_account("bob")
    work = ask()
    assert [one.id for one in own_works(actor_named("alice"))] == [work.id]
    assert [one.id for one in own_works(actor_named("alice"), "count")] == [work.id]
    assert own_works(actor_named("alice"), "other") == []
    for other in (actor_named("bob"), operator_actor()):
        assert own_works(other) == []
        with pytest.raises(NotFound):
            own_work(other, work.id)
        with pytest.raises(NotFound), transaction():
            stop_work(other, work.id)
    assert stored(work).state == "waiting"


def test_a_work_of_no_account_belongs_to_nobody(app: Doorward) -> None:
    with transaction():
        assert begin_work(job_actor("tidy"), "count", {}).owner_id is None


def test_one_that_another_process_does_is_left_alone_while_it_lives(alice: Account, teach: Teach) -> None:
    teach(lambda work: "done", resumes=True)
    work = begun(ask())
    assert not works_wait()
    assert do_long_works() == 0
    clock.shift(LEASE + timedelta(seconds=1))
    assert works_wait()
    assert (do_long_works(), stored(work).state) == (1, "done")


def test_one_whose_process_died_goes_on_where_it_was(alice: Account, teach: Teach) -> None:
    teach(lambda work: f"from {work.done}", resumes=True)
    work = begun(ask(), done=7)
    clock.shift(LEASE + timedelta(seconds=1))
    do_long_works()
    assert (stored(work).state, stored(work).summary) == ("done", "from 7")


def test_one_that_cannot_go_on_has_failed_when_its_process_died(alice: Account, teach: Teach) -> None:
    teach(lambda work: "never")
    work = begun(ask())
    clock.shift(LEASE + timedelta(seconds=1))
    do_long_works()
    assert (stored(work).state, stored(work).summary) == ("failed", DIED)


def test_one_that_was_to_stop_when_its_process_died_is_stopped(alice: Account, teach: Teach) -> None:
    teach(lambda work: "never", resumes=True)
    work = begun(ask(), stop_asked_at=clock.now())
    clock.shift(LEASE + timedelta(seconds=1))
    do_long_works()
    assert stored(work).state == "stopped"


def test_one_that_was_taken_over_writes_nothing_more(alice: Account, teach: Teach) -> None:
    def count(work: LongWork) -> str:
        begun(work)
        with pytest.raises(TakenOver):
            advance(work, 99)
        return "too late"

    teach(count)
    work = ask()
    do_long_works()
    now = stored(work)
    assert (now.state, now.holder, now.done, now.summary) == ("running", "another process", 0, "")


def test_each_step_holds_it_for_longer(alice: Account, teach: Teach) -> None:
    def count(work: LongWork) -> str:
        for step in range(3):
            clock.shift(LEASE * 0.9 * (step + 1))
            assert not works_wait()
            advance(work, step)
        return "held"

    teach(count)
    work = ask()
    do_long_works()
    assert stored(work).summary == "held"
