"""Counting tries: per name and address, in windows that end by themselves, the same for every instance."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import LimitReached
from portal.signin.models import FailureCount
from portal.signin.throttle import (
    MOST,
    WINDOW,
    check_throttle,
    count_failure,
    counter_of,
    failure_of,
    forget_failures,
)
from portal.web.frame import Doorward
from tests.races import race


def fail(counter: str, times: int) -> None:
    with transaction():
        for _ in range(times):
            count_failure(counter)


def wait_of(counter: str) -> int:
    """Seconds to wait; 0 when one may go on."""
    try:
        check_throttle(counter)
    except LimitReached as error:
        return error.retry_after
    return 0


@pytest.mark.parametrize("sort", MOST)
def test_the_limit_is_reached_at_its_number_and_told_in_seconds(app: Doorward, sort: str) -> None:
    counter = counter_of(sort, "alice")
    fail(counter, MOST[sort] - 1)
    assert wait_of(counter) == 0
    fail(counter, 1)
    assert 890 <= wait_of(counter) <= 900
    assert wait_of(counter_of(sort, "bobby")) == 0


def test_a_window_ends_and_the_next_begins_at_one(app: Doorward) -> None:
    counter = counter_of("name", "alice")
    fail(counter, 400)
    clock.shift(WINDOW - timedelta(seconds=10))
    assert 1 <= wait_of(counter) <= 10
    clock.shift(WINDOW + timedelta(seconds=1))
    assert wait_of(counter) == 0
    fail(counter, 1)
    assert db.session.scalars(select(FailureCount.failures)).one() == 1


def test_steady_guessing_does_not_move_the_end_of_the_window(app: Doorward) -> None:
    counter = counter_of("name", "alice")
    for minute in range(15):
        clock.shift(timedelta(minutes=minute))
        fail(counter, 1)
    assert 1 <= wait_of(counter) <= 60


def test_many_failures_at_once_are_all_counted(app: Doorward) -> None:
    counter = counter_of("name", "alice")

    def one(_: int) -> None:
        with app.app_context():
            fail(counter, 1)

    race(12, one)
    assert db.session.scalars(select(FailureCount.failures)).one() == 12


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
    counter = counter_of("name", "a password in the wrong box")
    assert "password" not in counter
    assert len(counter) <= 100
    fail(counter_of("name", "\0" * 5000), 1)
