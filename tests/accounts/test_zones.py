"""A change of zone wins nobody a second day, and nobody loses one: limits and counters stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.accounts.lifecycle import edit_profile, edit_user
from portal.accounts.models import Account, User
from portal.accounts.zones import may_move_from
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import Invalid
from portal.usage.history import standing
from portal.usage.models import UsageDay
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.moments import stand_at
from tests.people import actor_named, make_account

Ask = Callable[[], tuple[str, str]]


@pytest.fixture
def alice(app: Doorward) -> User:
    """Alice in Berlin with three conversations a day."""
    made = make_account("alice", time_zone="Europe/Berlin", daily_limit_override=3)
    assert isinstance(made, User)
    return made


@pytest.fixture
def ask(alice: User, machine: Callable[..., Machine], key_of: Callable[..., str]) -> Ask:
    """One call with Alice's key: its code and the reset it was told."""
    key, gate = key_of(alice), machine()

    def call() -> tuple[str, str]:
        answer = gate.post("/keys/verify", {"key": key}).get_json()
        return answer["code"], answer["daily"]["resets_at"]

    return call


def move(name: str, zone: str) -> Account:
    """The person changes the own zone."""
    with transaction():
        account = edit_profile(actor_named(name), display_name=name.capitalize(), time_zone=zone)
    db.session.expire_all()
    return account


def test_what_was_used_counts_on_after_a_move_and_the_day_goes_on(ask: Ask) -> None:
    stand_at("2026-06-01T14:00:00+02:00")
    assert [ask()[0] for _ in range(4)] == ["VALID"] * 3 + ["DAILY_LIMIT_REACHED"]
    move("alice", "Asia/Tokyo")
    assert ask() == ("DAILY_LIMIT_REACHED", "2026-06-03T00:00:00+09:00")
    stand_at("2026-06-02T14:00:00+02:00")
    assert ask()[0] == "DAILY_LIMIT_REACHED"
    stand_at("2026-06-03T00:00:01+09:00")
    assert ask() == ("VALID", "2026-06-04T00:00:00+09:00")


def test_at_a_minute_to_midnight_a_move_east_and_back_brings_no_second_day(ask: Ask) -> None:
    stand_at("2026-06-01T23:59:00+02:00")
    assert [ask()[0] for _ in range(4)].count("VALID") == 3
    move("alice", "Europe/Athens")
    assert ask()[0] == "DAILY_LIMIT_REACHED"
    with pytest.raises(Invalid):
        move("alice", "Europe/Berlin")
    assert ask()[0] == "DAILY_LIMIT_REACHED"
    assert db.session.scalars(select(UsageDay.used)).all() == [3]


def test_the_next_move_waits_seven_days_and_the_refusal_says_until_when(alice: User) -> None:
    stand_at("2026-06-01T12:00:00+00:00")
    moved = move("alice", "Asia/Tokyo")
    assert isinstance(moved, User)
    stand_at("2026-06-08T11:59:00+00:00")
    with pytest.raises(Invalid) as refused:
        move("alice", "Europe/Berlin")
    assert "8 Jun 2026, 21:00" in str(refused.value.fields["time_zone"])
    assert db.session.get_one(User, alice.id).time_zone == "Asia/Tokyo"
    stand_at("2026-06-08T12:00:05+00:00")
    assert may_move_from(db.session.get_one(User, alice.id)) is None
    assert move("alice", "Europe/Berlin").time_zone == "Europe/Berlin"


def test_saving_the_same_zone_is_no_move(alice: User) -> None:
    for _ in range(2):
        move("alice", "Europe/Berlin")
    user = db.session.get_one(User, alice.id)
    assert (user.zone_changed_at, user.held_day, user.held_until) == (None, None, None)


def test_a_clock_that_steps_back_opens_no_earlier_move(alice: User) -> None:
    stand_at("2026-06-10T12:00:00+00:00")
    move("alice", "Asia/Tokyo")
    stand_at("2026-06-09T12:00:00+00:00")
    with pytest.raises(Invalid):
        move("alice", "Europe/Berlin")


def test_an_admin_moves_a_user_at_any_time_and_wins_no_day_either(ask: Ask, alice: User) -> None:
    make_account("ada")
    stand_at("2026-06-01T23:59:00+02:00")
    assert [ask()[0] for _ in range(3)] == ["VALID"] * 3
    for zone in ("Asia/Tokyo", "Pacific/Niue", "Pacific/Kiritimati", "Europe/Berlin"):
        user = db.session.get_one(User, alice.id, populate_existing=True)
        with transaction():
            edit_user(
                actor_named("ada"), alice.id, version=user.version, display_name="Alice", email="alice@example.org",
                time_zone=zone, daily_limit_override=3,
            )  # fmt: skip
        assert ask()[0] == "DAILY_LIMIT_REACHED", zone
    clock.shift(clock.offset() + timedelta(hours=20))
    assert ask()[0] == "DAILY_LIMIT_REACHED"
    clock.shift(clock.offset() + timedelta(hours=5))
    assert ask()[0] == "VALID"


def test_the_entry_says_from_where_to_where_and_how_long_the_day_goes_on(alice: User) -> None:
    stand_at("2026-06-01T14:00:00+02:00")
    move("alice", "Asia/Tokyo")
    entry = db.session.scalars(select(AuditEntry)).one()
    assert entry.event == "account.zone_changed"
    assert entry.facts == {"from": "Europe/Berlin", "to": "Asia/Tokyo", "day_until": "2026-06-03T00:00:00+09:00"}
    assert standing(actor_named("alice"), alice.id).resets_at.isoformat() == "2026-06-03T00:00:00+09:00"


def test_staff_and_admins_move_as_often_as_they_like(app: Doorward) -> None:
    for name in ("tess", "ada"):
        make_account(name)
        for zone in ("Asia/Tokyo", "Europe/Berlin", "UTC"):
            assert move(name, zone).time_zone == zone
    facts = [entry.facts["day_until"] for entry in db.session.scalars(select(AuditEntry))]
    assert facts == [None] * 6


@pytest.mark.parametrize("wrong", ["Mars/Olympus", "../etc/passwd", "Europe/Berlin\0", "x" * 100])
def test_a_zone_that_is_none_changes_nothing(alice: User, wrong: str) -> None:
    with pytest.raises(Invalid) as refused:
        move("alice", wrong)
    assert list(refused.value.fields) == ["time_zone"]
    assert db.session.get_one(User, alice.id).zone_changed_at is None
