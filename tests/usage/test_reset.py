"""The job that closes usage days: each once, folded into its month, however often and whenever it runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import insert, select

from portal.accounts.models import Account
from portal.cli import main
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.settings import Settings
from portal.jobs.runner import run_job
from portal.usage.models import UsageDay, UsageMonth
from portal.usage.reset import close_finished_days, open_days
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import make_account
from tests.races import race


def be_at(text: str) -> None:
    """Move the clock to this instant."""
    clock.shift(datetime.fromisoformat(text) - datetime.now(UTC))


def keep_days(account: Account, days: dict[date, int]) -> None:
    """Usage of earlier days."""
    with transaction():
        rows = [{"user_id": account.id, "day": day, "used": used} for day, used in days.items()]
        db.session.execute(insert(UsageDay), rows)


def months(account: Account) -> dict[date, int]:
    """What is folded."""
    db.session.expire_all()
    query = select(UsageMonth.month, UsageMonth.used).where(UsageMonth.user_id == account.id)
    return {row.month: row.used for row in db.session.execute(query)}


def test_days_that_are_over_are_closed_once(app: Doorward) -> None:
    be_at("2031-05-10T12:00:00+00:00")
    alice = make_account("alice")
    keep_days(alice, {date(2031, 4, 30): 4, date(2031, 5, 8): 2, date(2031, 5, 9): 3, date(2031, 5, 10): 9})
    assert [close_finished_days() for _ in range(3)] == [3, 0, 0]
    assert months(alice) == {date(2031, 4, 1): 4, date(2031, 5, 1): 5}
    assert open_days() == 1


def test_the_run_says_closed_n_then_closed_0(app: Doorward) -> None:
    be_at("2031-05-10T12:00:00+00:00")
    keep_days(make_account("alice"), {date(2031, 5, 8): 2, date(2031, 5, 9): 3})
    runs = [run_job("reset_daily_limits", by_hand=True) for _ in range(2)]
    assert [run.summary for run in runs if run] == ["closed 2", "closed 0"]


def test_the_command_says_closed_n_then_closed_0(app: Doorward, settings: Settings) -> None:
    keep_days(make_account("alice"), {date(2026, 1, 8): 2, date(2026, 1, 9): 3})
    env = {"DATABASE_URL": settings.database_url, "DATA_DIR": str(settings.data_dir)}
    said = [CliRunner().invoke(main, ["jobs", "run", "reset_daily_limits"], env=env).output for _ in range(2)]
    assert said == ["closed 2\n", "closed 0\n"]
    listed = CliRunner().invoke(main, ["jobs", "list"], env=env).output
    assert "closed 0" in next(line for line in listed.splitlines() if line.startswith("reset_daily_limits"))


def test_a_day_is_over_when_it_is_over_where_the_user_lives(app: Doorward) -> None:
    be_at("2031-05-10T11:00:00+00:00")
    zones = {"Pacific/Kiritimati": "east", "UTC": "middle", "Etc/GMT+12": "west"}
    people = {zone: make_account(name, time_zone=zone) for zone, name in zones.items()}
    for person in people.values():
        keep_days(person, {date(2031, 5, 9): 1, date(2031, 5, 10): 2})
    closed = []
    for now in ("2031-05-10T09:59:00+00:00", "2031-05-10T10:01:00+00:00", "2031-05-10T12:01:00+00:00"):
        be_at(now)
        closed.append(close_finished_days())
    assert closed == [2, 1, 1]
    be_at("2031-05-11T12:01:00+00:00")
    assert close_finished_days() == 2


def test_more_days_than_one_batch_are_closed(app: Doorward) -> None:
    be_at("2031-05-10T12:00:00+00:00")
    alice, bob = make_account("alice"), make_account("bob", time_zone="Asia/Tokyo")
    for person in (alice, bob):
        keep_days(person, {date(2031, 5, 9) - timedelta(days=back): 1 for back in range(260)})
    assert [close_finished_days(), close_finished_days()] == [520, 0]
    assert sum(months(alice).values()) == sum(months(bob).values()) == 260


@pytest.mark.parametrize("setting", [{"threads": 16, "db_timeout_s": 30}])
def test_four_at_once_close_each_day_once(app: Doorward) -> None:
    be_at("2031-05-10T12:00:00+00:00")
    alice = make_account("alice")
    keep_days(alice, {date(2031, 5, 9) - timedelta(days=back): 1 for back in range(200)})

    def close(_: int) -> int:
        with app.app_context():
            return close_finished_days()

    assert sum(race(4, close)) == 200
    assert sum(months(alice).values()) == 200


def test_no_limit_depends_on_the_job(machine: Callable[..., Machine], key_of: Callable[..., str]) -> None:
    be_at("2031-05-10T12:00:00+00:00")
    gate, key = machine(), key_of(make_account("alice", daily_limit_override=1))
    codes = []
    for hours in range(0, 72, 24):
        be_at("2031-05-10T12:00:00+00:00")
        clock.shift(clock.offset() + timedelta(hours=hours))
        codes += [gate.post("/keys/verify", {"key": key}).get_json()["code"] for _ in range(2)]
        close_finished_days()
        codes.append(gate.post("/keys/verify", {"key": key}).get_json()["code"])
    assert codes == ["VALID", "DAILY_LIMIT_REACHED", "DAILY_LIMIT_REACHED"] * 3


def test_what_is_spent_on_a_closed_day_after_a_move_west_is_in_its_month(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    be_at("2031-05-10T11:00:00+00:00")
    alice = make_account("alice", time_zone="Pacific/Auckland")
    gate, key = machine(), key_of(alice)
    gate.post("/keys/verify", {"key": key, "cost": {"conversations": 3}})
    be_at("2031-05-10T13:00:00+00:00")
    close_finished_days()
    with transaction():
        alice.time_zone = "America/Los_Angeles"
    assert gate.post("/keys/verify", {"key": key}).get_json()["daily"]["used"] == 4
    be_at("2031-05-12T12:00:00+00:00")
    close_finished_days()
    assert months(alice) == {date(2031, 5, 1): 4}


def test_a_clock_that_steps_back_opens_nothing(app: Doorward) -> None:
    be_at("2031-05-11T01:00:00+00:00")
    alice = make_account("alice")
    keep_days(alice, {date(2031, 5, 10): 3})
    closed = [close_finished_days()]
    for now in ("2031-05-10T23:00:00+00:00", "2031-05-11T02:00:00+00:00"):
        be_at(now)
        closed.append(close_finished_days())
    assert closed == [1, 0, 0]
    assert months(alice) == {date(2031, 5, 1): 3}
