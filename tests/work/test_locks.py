"""Job locks: one holder at a time, a lease that runs out, a fence that only grows."""

from __future__ import annotations

from datetime import timedelta

from portal.core import clock
from portal.core.database import transaction
from portal.web.frame import Doorward
from portal.work.locks import LEASE, forget_locks, free_lock, renew_lock, take_lock
from tests.races import race


def take(holder: str, name: str = "sweep") -> int | None:
    """The fence, when the lock was to be had."""
    with transaction():
        return take_lock(name, holder)


def test_one_holder_at_a_time(app: Doorward) -> None:
    assert take("a") == 1
    assert take("b") is None
    assert take("b", "another lock") == 1


def test_a_lock_is_renewed_by_its_holder_and_the_fence_grows(app: Doorward) -> None:
    assert [take("a"), take("a"), take("a")] == [1, 2, 3]


def test_a_lease_that_ran_out_is_taken_over_and_not_before(app: Doorward) -> None:
    assert take("a") == 1
    clock.shift(LEASE - timedelta(seconds=2))
    assert take("b") is None
    clock.shift(LEASE + timedelta(seconds=1))
    assert take("b") == 2
    assert take("a") is None


def test_a_freed_lock_is_had_at_once_and_keeps_its_fence(app: Doorward) -> None:
    take("a")
    with transaction():
        free_lock("sweep", "a")
    assert take("b") == 2


def test_nobody_frees_the_lock_of_another(app: Doorward) -> None:
    take("a")
    with transaction():
        free_lock("sweep", "b")
        forget_locks("b")
    assert take("b") is None


def test_a_holder_that_ends_leaves_all_its_locks_and_the_fence_grows_on(app: Doorward) -> None:
    take("a")
    take("a", "mail")
    take("b", "other")
    with transaction():
        forget_locks("a")
    assert (take("c"), take("c", "mail"), take("c", "other")) == (2, 2, None)


def test_of_ten_who_ask_for_a_new_lock_at_once_one_gets_it(app: Doorward) -> None:
    def ask(number: int) -> int | None:
        with app.app_context():
            return take(f"holder {number}")

    assert sorted(race(10, ask), key=str) == [1, *[None] * 9]


def test_a_lock_is_held_longer_by_whom_it_has_and_by_nobody_else(app: Doorward) -> None:
    fence = take("a")
    assert fence is not None

    def renew(holder: str, number: int) -> bool:
        with transaction():
            return renew_lock("sweep", holder, number)

    clock.shift(LEASE - timedelta(seconds=2))
    assert renew("a", fence)
    assert [renew("b", fence), renew("a", fence + 1), renew("a", fence - 1)] == [False] * 3
    clock.shift(LEASE + timedelta(seconds=5))
    assert take("b") is None
    clock.shift(LEASE * 3)
    assert take("b") == fence + 1
    assert not renew("a", fence)
    with transaction():
        free_lock("sweep", "b")
    assert not renew("b", fence + 1)
