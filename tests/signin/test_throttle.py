"""Counting tries before they are looked at: growing waits and windows, the same for every instance."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import LimitReached
from portal.signin.models import FailureCount
from portal.signin.throttle import (
    GROWING,
    LONGEST,
    MOST,
    QUIET,
    WINDOW,
    check_throttle,
    count_failure,
    counter_of,
    failure_of,
    forget_counts,
    forget_failures,
    give_back,
    take_try,
)
from portal.web.frame import Doorward
from tests.races import race

WINDOWS = sorted(set(MOST) - GROWING)


def fail(counter: str, times: int) -> None:
    with transaction():
        for _ in range(times):
            count_failure(counter)


def put(counter: str, failures: int) -> None:
    """As if so many had failed, the last just now."""
    count_failure(counter)
    with transaction():
        db.session.execute(update(FailureCount).where(FailureCount.name == counter).values(failures=failures))


def wait_of(counter: str) -> int:
    """Seconds to wait; 0 when one may go on."""
    try:
        check_throttle(counter)
    except LimitReached as error:
        return error.retry_after
    return 0


def try_once(counter: str) -> int:
    """Seconds to wait; 0 when the try was let through."""
    try:
        take_try(counter)
    except LimitReached as error:
        return error.retry_after
    return 0


def counted(counter: str) -> int:
    return db.session.scalar(select(FailureCount.failures).where(FailureCount.name == counter)) or 0


@pytest.mark.parametrize("sort", MOST)
def test_so_many_are_free_and_the_next_must_wait(app: Doorward, sort: str) -> None:
    counter = counter_of(sort, "alice")
    put(counter, MOST[sort] - 1)
    assert try_once(counter) == 0
    assert counted(counter) == MOST[sort]
    assert wait_of(counter) <= (1 if sort in GROWING else 900)
    put(counter, MOST[sort] + (9 if sort in GROWING else 0))
    assert wait_of(counter) >= try_once(counter) > 400
    assert wait_of(counter_of(sort, "bobby")) == 0


def test_each_further_try_waits_twice_as_long_up_to_the_longest(app: Doorward) -> None:
    counter = counter_of("name", "alice")
    gone = timedelta(0)
    for step, wait in enumerate([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]):
        put(counter, MOST["name"] + step)
        if wait > 60:
            clock.shift(gone + timedelta(seconds=wait - 50))
            assert 1 <= try_once(counter) <= 50
        assert wait_of(counter) <= wait
        gone += timedelta(seconds=wait)
        clock.shift(gone)
        assert try_once(counter) == 0


@pytest.mark.parametrize("sort", sorted(GROWING))
def test_however_many_tried_nobody_waits_for_longer_than_the_longest(app: Doorward, sort: str) -> None:
    counter = counter_of(sort, "alice")
    put(counter, 10_000)
    for _ in range(20):  # what is refused makes nothing longer
        assert 890 <= try_once(counter) <= 900
    clock.shift(LONGEST)
    assert try_once(counter) == 0


def test_an_hour_without_a_try_and_all_is_forgotten(app: Doorward) -> None:
    counter = counter_of("name", "alice")
    put(counter, 400)
    clock.shift(QUIET - timedelta(seconds=1))
    assert try_once(counter) == 0
    assert wait_of(counter) > 800
    clock.shift(2 * QUIET)
    assert [try_once(counter) for _ in range(5)] == [0] * 5
    assert counted(counter) == 5


@pytest.mark.parametrize("sort", WINDOWS)
def test_a_window_ends_and_the_next_begins_at_one(app: Doorward, sort: str) -> None:
    counter = counter_of(sort, "alice")
    put(counter, 40_000)
    clock.shift(WINDOW - timedelta(seconds=10))
    assert 1 <= try_once(counter) <= 10
    clock.shift(WINDOW + timedelta(seconds=1))
    assert wait_of(counter) == try_once(counter) == 0
    assert counted(counter) == 1


def test_steady_tries_do_not_move_the_end_of_a_window(app: Doorward) -> None:
    counter = counter_of("mail", "alice")
    for minute in range(15):
        clock.shift(timedelta(minutes=minute))
        fail(counter, 1)
    assert 1 <= wait_of(counter) <= 60


@pytest.mark.parametrize("sort", ["name", "mail"])
def test_a_clock_that_is_put_back_keeps_nobody_waiting(app: Doorward, sort: str) -> None:
    clock.shift(timedelta(days=1))
    counter = counter_of(sort, "alice")
    put(counter, 400)
    clock.shift(timedelta(0))
    assert wait_of(counter) == try_once(counter) == 0
    assert counted(counter) == 1


@pytest.mark.parametrize(("sort", "before", "room"), [("mail", 0, 5), ("name", 14, 1)])
def test_of_many_at_once_no_more_get_through_than_may(app: Doorward, sort: str, before: int, room: int) -> None:
    counter = counter_of(sort, "alice")
    if before:
        put(counter, before)
        clock.shift(LONGEST)

    def one(_: int) -> int:
        with app.app_context():
            return try_once(counter)

    assert race(24, one).count(0) == room
    assert counted(counter) == before + room


def test_many_failures_at_once_are_all_counted(app: Doorward) -> None:
    counter = counter_of("name", "alice")

    def one(_: int) -> None:
        with app.app_context():
            fail(counter, 1)

    race(12, one)
    assert counted(counter) == 12


def test_a_try_counts_everywhere_or_nowhere(app: Doorward) -> None:
    free, full = counter_of("address", "203.0.113.9"), counter_of("name", "alice")
    put(full, 100)
    for counters in ((free, full), (full, free)):
        with pytest.raises(LimitReached):
            take_try(*counters)
    assert (counted(free), counted(full)) == (0, 100)
    take_try(free, counter_of("name", "bobby"))
    assert counted(free) == 1


def test_what_is_given_back_may_be_tried_again(app: Doorward) -> None:
    counter = counter_of("address", "203.0.113.9")
    fail(counter, 100)
    with transaction():
        give_back(counter, counter_of("address", "203.0.113.10"))
    assert [try_once(counter) > 0 for _ in range(2)] == [False, True]
    with transaction():
        for _ in range(200):
            give_back(counter)
    assert counted(counter) == 0


def test_a_success_forgets_its_own_counters_only(app: Doorward) -> None:
    alice, bobby = counter_of("name", "alice"), counter_of("name", "bobby")
    fail(alice, 10)
    fail(bobby, 10)
    with transaction():
        forget_failures(alice)
    assert (wait_of(alice), wait_of(bobby) > 0) == (0, True)


def test_a_failure_can_be_written_after_the_rollback(app: Doorward) -> None:
    counter = counter_of("name", "alice")
    trace = failure_of(counter, counter_of("address", "203.0.113.9"))
    assert db.session.scalars(select(FailureCount)).all() == []
    with transaction():
        trace()
    assert len(db.session.scalars(select(FailureCount)).all()) == 2


def test_one_account_has_one_counter_however_it_is_typed(app: Doorward) -> None:
    assert len({counter_of("name", typed) for typed in ("alice", " ALICE ", "\uff41lice")}) == 1
    mails = ("alice@example.org", "Alice@EXAMPLE.org ", "alice@example\u3002org", "\uff41lice@example.org")
    assert len({counter_of("name", typed) for typed in mails}) == 1
    assert counter_of("name", "alice") != counter_of("mail", "alice") != counter_of("name", "alicf")
    assert counter_of("name", None) == counter_of("name", "")


def test_a_counter_does_not_hold_what_was_typed(app: Doorward) -> None:
    for sort in MOST:
        counter = counter_of(sort, "a password in the wrong box")
        assert "password" not in counter
        assert len(counter) <= 100
    fail(counter_of("name", "\0" * 5000), 1)


def test_counters_that_count_no_more_are_forgotten(app: Doorward) -> None:
    names = [counter_of(sort, "alice") for sort in ("name", "mail", "address")]
    for name in names:
        fail(name, 3)
    clock.shift(QUIET - timedelta(seconds=1))
    with transaction():
        assert forget_counts() == 0
    fail(names[0], 1)
    clock.shift(QUIET)
    with transaction():
        assert forget_counts() == 2
    assert [counted(name) for name in names] == [4, 0, 0]
