"""A week before a key ends its owner is told, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from portal.accounts.lifecycle import suspend
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.jobs.runner import run_job
from portal.keys import expiry
from portal.keys.expiry import tell_expiring_keys
from portal.keys.models import ApiKey
from portal.keys.rotation import rotate_key
from portal.keys.service import change_key, create_key, revoke_key
from portal.keys.terms import KeyTerms
from portal.web.frame import Doorward
from tests.keys.letters import letters
from tests.people import actor_named, make_account
from tests.races import race


@pytest.fixture(autouse=True)
def people(app: Doorward) -> None:
    """Alice, far east."""
    make_account("alice", time_zone="Pacific/Auckland")


def make(days: float, name: str = "laptop") -> ApiKey:
    """Alice makes a key that ends after so many days."""
    with transaction():
        return create_key(actor_named("alice"), name=name, expires_at=clock.now() + timedelta(days=days)).key


def told() -> list[str]:
    """Which keys the job tells of when it runs now."""
    before = len(letters("key_expiring"))
    tell_expiring_keys()
    return [letter["values"]["key"] for letter in letters("key_expiring")[before:]]


def test_a_week_before_the_end_once() -> None:
    key = make(30)
    assert told() == []
    clock.shift(timedelta(days=22, hours=23))
    assert told() == []
    clock.shift(timedelta(days=23, seconds=5))
    assert told() == ["laptop"]
    assert told() == []
    assert (key.ends_soon, key.version) == (True, 1)
    clock.shift(timedelta(days=31))
    assert told() == []


def test_the_mail_says_which_and_when_where_the_owner_lives() -> None:
    clock.shift(clock.now().replace(year=2031, month=5, day=10, hour=12, minute=0) - clock.now())
    key = make(5)
    assert told() == ["laptop"]
    (letter,) = letters("key_expiring")
    assert letter["to"] == "alice@example.org"
    for shown in (letter["text"], letter["html"]):
        assert all(words in shown for words in ("laptop", key.prefix, "16 May 2031, 00:00", f"/account/keys/{key.id}"))


def test_a_short_one_is_told_at_once_and_one_for_a_day_never() -> None:
    make(3, "short")
    make(1, "for a day")
    make(0.1, "for an hour or two")
    assert told() == ["short"]
    clock.shift(timedelta(hours=2))
    assert told() == []


def test_another_end_is_told_again() -> None:
    key = make(3)
    assert told() == ["laptop"]
    later = clock.now() + timedelta(days=20)
    with transaction():
        change_key(actor_named("alice"), key.id, KeyTerms("laptop", expires_at=later))
    assert told() == []
    clock.shift(timedelta(days=14))
    assert told() == ["laptop"]


def test_of_a_dead_or_replaced_key_or_a_suspended_owner_nothing_is_told() -> None:
    revoked, replaced = make(3, "revoked"), make(3, "replaced")
    make_account("bob")
    with transaction():
        bobs = create_key(actor_named("bob"), name="bobs", expires_at=clock.now() + timedelta(days=3)).key
        revoke_key(actor_named("alice"), revoked.id)
        rotate_key(actor_named("alice"), replaced.id, overlap_s=86400)
        suspend(operator_actor().because("a test"), bobs.user_id)
    assert told() == ["replaced"], "the new one, which ends when the old one would have"


def test_however_many_run_it_each_is_told_once(app: Doorward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "BATCH", 2)
    for number in range(5):
        make(3, str(number))

    def work(_number: int) -> int:
        with app.app_context():
            return tell_expiring_keys()

    assert sum(race(4, work)) == 5
    assert sorted(letter["values"]["key"] for letter in letters("key_expiring")) == list("01234")


def test_the_job_says_how_many() -> None:
    make(3)
    runs: list[Any] = [run_job("tell_expiring_keys", by_hand=True) for _ in range(2)]
    assert [(run.outcome, run.summary) for run in runs] == [("done", "told 1"), ("done", "told 0")]


def test_it_is_told_whatever_the_owner_chose_about_warnings() -> None:
    with transaction():
        alice = make_account("carol", warn_by_mail=False)
        key = make(3)
        key.user_id = alice.id
    db.session.expire_all()
    assert told() == ["laptop"]
