"""Warnings at 80 and 100 percent: by mail once a mark and day, on the pages always, by mail only for who wants it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.models import Account, User
from portal.core import clock, crypto
from portal.core.database import db, transaction
from portal.jobs.runner import run_job
from portal.jobs.table import JOBS
from portal.mail.models import OutboxMail
from portal.mail.rendering import render
from portal.usage.models import UsageWarning
from portal.usage.warnings import mark_of, own_mark, set_usage_warnings, tell_warnings, warnings_wait
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import actor_named, make_account
from tests.races import race

Spend = Callable[[int], Any]


@pytest.fixture(autouse=True)
def noon(app: Doorward) -> None:
    """No test runs over a midnight."""
    clock.shift(datetime.fromisoformat("2031-05-10T12:00:00+00:00") - datetime.now(UTC))


@pytest.fixture
def alice(app: Doorward) -> Account:
    """A user of ten conversations a day."""
    return make_account("alice", daily_limit_override=10, time_zone="Asia/Tokyo")


@pytest.fixture
def spend(alice: Account, machine: Callable[..., Machine], key_of: Callable[..., str]) -> Spend:
    """Let Alice use so many conversations."""
    gate, key = machine(), key_of(alice)
    return lambda units: gate.post("/keys/verify", {"key": key, "cost": {"conversations": units}}).get_json()


def mails() -> list[tuple[str, dict[str, Any]]]:
    """(to, values) of every warning in the outbox, oldest first."""
    db.session.expire_all()
    rows = db.session.scalars(
        select(OutboxMail).where(OutboxMail.template == "usage_warning").order_by(OutboxMail.created_at, OutboxMail.id)
    )
    opened = [crypto.unseal(row.sealed or "", place=f"outbox:{row.id}") for row in rows]
    return [(one["to"], one["values"]) for one in opened]


def marks() -> list[int]:
    """The marks that were mailed."""
    return [values["mark"] for _, values in mails()]


def test_each_mark_is_mailed_once_with_what_the_owner_must_know(spend: Spend) -> None:
    spend(7)
    assert not warnings_wait()
    spend(1)
    assert warnings_wait()
    assert [tell_warnings() for _ in range(2)] == [(1, 1), (0, 0)]
    spend(1)
    assert tell_warnings() == (0, 0)
    spend(1)
    assert not spend(1)["valid"]
    assert [tell_warnings() for _ in range(2)] == [(1, 1), (0, 0)]
    assert marks() == [80, 100]
    to, values = mails()[0]
    assert to == "alice@example.org"
    assert values == {
        "name": "Alice",
        "mark": 80,
        "limit": 10,
        "reset_day": "11 May",
        "reset_hour": "00:00",
        "zone": "Asia/Tokyo",
    }


def test_both_marks_at_once_make_one_mail(spend: Spend) -> None:
    spend(10)
    assert tell_warnings() == (2, 1)
    assert marks() == [100]


def test_the_next_day_warns_anew(spend: Spend) -> None:
    spend(8)
    tell_warnings()
    clock.shift(datetime.fromisoformat("2031-05-11T12:00:00+00:00") - datetime.now(UTC))
    spend(9)
    tell_warnings()
    assert marks() == [80, 80]


def test_a_day_that_is_over_is_not_told_of(spend: Spend) -> None:
    spend(8)
    clock.shift(datetime.fromisoformat("2031-05-10T15:30:00+00:00") - datetime.now(UTC))
    assert tell_warnings() == (1, 0)
    assert mails() == []


@pytest.mark.parametrize("column", [{"warn_by_mail": False}, {"email": None}, {"state": "suspended"}])
def test_who_does_not_want_it_or_cannot_be_reached_is_not_mailed(
    spend: Spend, alice: Account, column: dict[str, Any]
) -> None:
    spend(10)
    with transaction():
        for name, value in column.items():
            setattr(db.session.get_one(User, alice.id), name, value)
    assert tell_warnings() == (2, 0)
    assert mails() == []


@pytest.mark.parametrize("setting", [{"threads": 16, "db_timeout_s": 30}])
def test_however_many_tell_each_is_told_once(app: Doorward) -> None:
    people = [make_account(f"user{number}") for number in range(12)]
    with transaction():
        for person in people:
            for mark in (80, 100):
                db.session.add(
                    UsageWarning(
                        user_id=person.id,
                        day=date(2031, 5, 10),
                        mark=mark,
                        daily_limit=10,
                        reached_at=clock.now(),
                    )
                )

    def tell(_: int) -> tuple[int, int]:
        with app.app_context():
            return tell_warnings()

    answers = race(4, tell)
    assert (sum(told for told, _ in answers), sum(mailed for _, mailed in answers)) == (24, 12)
    assert sorted(to for to, _ in mails()) == sorted(person.email or "" for person in people)


def test_the_job_says_what_came_of_it(spend: Spend) -> None:
    has_work = JOBS["warn_users"].has_work
    assert has_work is not None
    spend(10)
    assert has_work()
    run = run_job("warn_users", by_hand=True)
    assert run is not None
    assert run.summary == "told 2, mailed 1"
    assert not has_work()


def test_the_mail_says_it_in_words(app: Doorward) -> None:
    values = {"name": "Alice", "limit": 10, "reset_day": "11 May", "reset_hour": "00:00", "zone": "Asia/Tokyo"}
    subject, text, html = render("usage_warning", {**values, "mark": 80}, "en")
    assert subject == "80% of your daily limit at Doorward is used"
    assert "11 May at 00:00" in text
    assert "/account/usage" in text
    assert "80% of the 10 conversations" in html
    subject, text, _ = render("usage_warning", {**values, "mark": 100}, "en")
    assert subject == "Your daily limit at Doorward is used up"
    assert "refused until the limit resets" in text


@pytest.mark.parametrize(
    ("used", "limit", "mark"),
    [
        *((0, 10, None), (7, 10, None), (8, 10, 80), (9, 10, 80), (10, 10, 100), (11, 10, 100), (4, 5, 80)),
        *((2, 3, None), (0, 0, 100), (79, 99, None), (80, 99, 80), (799_999, 1_000_000, None), (9, None, None)),
        (800_000, 1_000_000, 80),
    ],
)
def test_marks_are_reached_at_80_and_100_percent(used: int, limit: int | None, mark: int | None) -> None:
    assert mark_of(used, limit) == mark


def test_the_banner_is_computed_from_the_standing(spend: Spend) -> None:
    actor = actor_named("alice")
    seen = []
    for units in (7, 1, 2):
        spend(units)
        reached = own_mark(actor)
        seen.append(reached and (reached.mark, reached.used, reached.limit))
    assert seen == [None, (80, 8, 10), (100, 10, 10)]
    clock.shift(datetime.fromisoformat("2031-05-10T15:30:00+00:00") - datetime.now(UTC))
    assert own_mark(actor) is None


def test_choosing_twice_is_as_good_as_once(alice: Account) -> None:
    for on in (False, False, True):
        with transaction():
            set_usage_warnings(actor_named("alice"), on)
        assert db.session.get_one(User, alice.id).warn_by_mail is on


def test_marks_of_days_long_over_are_forgotten(spend: Spend) -> None:
    spend(10)
    assert run_summary() == "forgot 0"
    clock.shift(clock.offset() + timedelta(days=32))
    spend(8)
    assert run_summary() == "forgot 2"
    assert [row.mark for row in db.session.scalars(select(UsageWarning))] == [80]


def run_summary() -> str:
    """What the job says that forgets warnings."""
    return JOBS["forget_warnings"].work()
