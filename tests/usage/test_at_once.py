"""A plain spending is one journey to PostgreSQL; whatever is more than plain comes out as if there were no such way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, update

from portal.accounts.models import Account, User
from portal.clients.models import ServiceClient
from portal.core import clock
from portal.core.database import db, transaction
from portal.keys.models import ApiKey
from portal.usage.models import Plan, UsageDay, UsageDetail, UsageMonth, UsageWarning
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import make_account

Spend = Callable[..., dict[str, Any]]
LIMIT = 10
# Only there: SQLite commits for many at once instead.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def noon(app: Doorward) -> None:
    """No test runs over a midnight."""
    clock.shift(datetime.fromisoformat("2031-05-10T12:00:00+00:00") - datetime.now(UTC))


@pytest.fixture
def alice(app: Doorward) -> Account:
    """A user of ten conversations a day."""
    return make_account("alice", daily_limit_override=LIMIT)


@pytest.fixture
def gate(machine: Callable[..., Machine]) -> Machine:
    """Who asks."""
    return machine()


@pytest.fixture
def spend(alice: Account, gate: Machine, key_of: Callable[..., str]) -> Spend:
    """Spend so many conversations of Alice by her key, which was noted as used lately."""
    key = key_of(alice)

    def ask(units: int, **more: str) -> dict[str, Any]:
        body: dict[str, Any] = gate.post(
            "/keys/verify", {"key": key, "cost": {"conversations": units}, **more}
        ).get_json()
        return body

    assert ask(1)["daily"]["used"] == 1
    return ask


@pytest.fixture
def journeys(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each statement that goes to PostgreSQL on a raw connection."""
    sent: list[str] = []
    execute = psycopg.Connection.execute

    def noted(connection: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        sent.append(str(query))
        return execute(connection, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", noted)
    return sent


def used(alice: Account) -> tuple[int, int]:
    """(of the day, of its details)."""
    db.session.expire_all()
    day = db.session.scalar(select(UsageDay.used).where(UsageDay.user_id == alice.id))
    return day or 0, sum(db.session.scalars(select(UsageDetail.used).where(UsageDetail.user_id == alice.id)))


def test_a_plain_spending_is_one_journey(spend: Spend, alice: Account, journeys: list[str]) -> None:
    for number in (2, 3):
        journeys.clear()
        answer = spend(1)
        assert (answer["code"], answer["daily"]["used"], answer["daily"]["remaining"]) == ("VALID", number, 10 - number)
        assert len(journeys) == 1, journeys
    assert used(alice) == (3, 3)


def test_spending_for_a_user_is_one_journey_too(gate: Machine, alice: Account, journeys: list[str]) -> None:
    for number in (1, 2):
        journeys.clear()
        answer = gate.post("/usage/consume", {"username": "alice"})
        assert answer.get_json()["daily"]["used"] == number
    assert len([sent for sent in journeys if "INSERT" in sent]) == 1, journeys
    assert not [sent for sent in journeys if "BEGIN" in sent], journeys


def test_of_many_each_plain_one_is_one_journey(
    spend: Spend, gate: Machine, alice: Account, key_of: Callable[..., str], journeys: list[str]
) -> None:
    key = key_of(alice, "another")
    for number, models in ((3, ("a", "b")), (6, ("a", "b", "a"))):
        journeys.clear()
        items = [{"key": key, "model": model} for model in models]
        said = gate.post("/keys/verify-many", {"items": items}).get_json()["items"]
        assert [one["code"] for one in said] == ["VALID"] * len(models)
        assert said[-1]["daily"]["used"] == number
        assert len([sent for sent in journeys if "usage_days" in sent]) == len(models), journeys
    assert used(alice) == (6, 6)
    said = gate.post("/keys/verify-many", {"items": [{"key": key}] * 6}).get_json()["items"]
    assert [one["code"] for one in said] == ["VALID"] * 4 + ["DAILY_LIMIT_REACHED"] * 2
    assert used(alice) == (LIMIT, LIMIT)
    assert sorted(db.session.scalars(select(UsageWarning.mark))) == [80, 100]


def test_models_are_counted_apart(spend: Spend, alice: Account) -> None:
    for model in ("small", "small", "large"):
        assert spend(1, model=model)["valid"]
    rows = db.session.execute(select(UsageDetail.model, UsageDetail.used).where(UsageDetail.user_id == alice.id))
    assert sorted(tuple(row) for row in rows) == [("", 1), ("large", 1), ("small", 2)]


@pytest.mark.parametrize(
    ("steps", "marks"),
    [
        ((6,), []),
        ((7,), [80]),
        ((8,), [80]),
        ((9,), [80, 100]),
        ((7, 1), [80]),
        ((7, 2), [80, 100]),
        ((8, 1), [80, 100]),
    ],
)
def test_marks_are_noted_when_they_are_reached(
    spend: Spend, alice: Account, steps: tuple[int, ...], marks: list[int]
) -> None:
    for units in steps:
        assert spend(units)["valid"]
    assert sorted(db.session.scalars(select(UsageWarning.mark))) == marks
    assert used(alice) == (1 + sum(steps), 1 + sum(steps))


def test_the_first_spending_of_a_day_can_reach_a_mark(
    gate: Machine, alice: Account, key_of: Callable[..., str]
) -> None:
    body = gate.post("/usage/consume", {"username": "alice", "cost": {"conversations": LIMIT}}).get_json()
    assert body["daily"]["remaining"] == 0
    assert sorted(db.session.scalars(select(UsageWarning.mark))) == [80, 100]


def test_nothing_is_spent_past_the_limit(spend: Spend, alice: Account) -> None:
    assert spend(LIMIT)["code"] == "DAILY_LIMIT_REACHED"
    assert spend(LIMIT + 1)["code"] == "DAILY_LIMIT_REACHED"
    assert used(alice) == (1, 1)
    assert spend(LIMIT - 1)["valid"]
    assert spend(1)["code"] == "DAILY_LIMIT_REACHED"
    assert used(alice) == (LIMIT, LIMIT)


def test_with_a_limit_of_nothing_nothing_is_spent(gate: Machine, alice: Account) -> None:
    with transaction():
        db.session.execute(update(User).values(daily_limit_override=0))
        db.session.execute(update(Account).values(version=Account.version + 1))
    answer = gate.post("/usage/consume", {"username": "alice"}).get_json()
    assert (answer["code"], used(alice)) == ("DAILY_LIMIT_REACHED", (0, 0))


def test_nobody_without_a_limit_is_stopped(spend: Spend, alice: Account, journeys: list[str]) -> None:
    with transaction():
        db.session.execute(update(User).values(daily_limit_override=None))
        db.session.execute(update(Account).values(version=Account.version + 1))
        db.session.execute(update(Plan).values(daily_limit=None, version=Plan.version + 1))
    assert spend(100_000)["valid"]  # reads anew what was changed
    journeys.clear()
    assert [spend(100_000)["code"] for _ in range(2)] == ["VALID"] * 2
    assert len(journeys) == 2, journeys
    assert used(alice) == (300_001, 300_001)


def test_on_a_closed_day_the_month_gets_what_is_spent(spend: Spend, alice: Account) -> None:
    with transaction():
        db.session.execute(update(UsageDay).values(closed_at=clock.now()))
    assert spend(2)["valid"]
    assert db.session.scalar(select(UsageMonth.used).where(UsageMonth.user_id == alice.id)) == 2


CHANGES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "suspended": (Account, {"state": "suspended", "version": Account.version + 1}, "ACCOUNT_SUSPENDED"),
    "key revoked": (
        ApiKey,
        {"revoked_at": datetime(2031, 5, 1, tzinfo=UTC), "version": ApiKey.version + 1},
        "KEY_REVOKED",
    ),
    "plan changed": (Plan, {"rate_per_minute": 1, "version": Plan.version + 1}, "RATE_LIMITED"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_felt_by_the_next_spending(spend: Spend, alice: Account, change: str) -> None:
    table, values, code = CHANGES[change]
    assert spend(1)["valid"]
    with transaction():
        db.session.execute(update(table).values(values))
    assert [spend(1)["code"] for _ in range(2)][-1] == code
    assert used(alice)[0] <= 3


def test_a_disabled_client_spends_nothing_more(spend: Spend, gate: Machine, alice: Account) -> None:
    assert spend(1)["valid"]
    with transaction():
        db.session.execute(update(ServiceClient).values(disabled_at=clock.now()))
    assert spend(1)["code"] == "UNAUTHENTICATED"
    assert used(alice) == (2, 2)
