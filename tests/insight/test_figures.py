"""The dashboard counts what is there: no more, no less, and nobody who is deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from portal.accounts.models import Account
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.core.errors import Forbidden
from portal.insight.figures import Dashboard, count_figures, dashboard
from portal.insight.models import Figure
from portal.jobs.runner import run_job
from portal.privacy.deletion import delete_user
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import actor_named, make_account
from tests.races import race
from tests.visitor import Visitor


@pytest.fixture(autouse=True)
def noon(app: Doorward) -> None:
    """No test runs over a midnight."""
    clock.shift(datetime.fromisoformat("2031-12-10T12:00:00+00:00") - clock.now())


def board() -> Dashboard:
    """The dashboard, freshly counted."""
    with transaction():
        assert count_figures()
        return dashboard(operator_actor())


def remove(account: Account) -> None:
    """Delete a user."""
    with transaction():
        delete_user(operator_actor().because("asked"), account.id, typed_name=account.username)


def test_users_are_counted_by_state_and_only_users(app: Doorward) -> None:
    for name in ("alice", "bob", "carol", "tess", "ada"):
        make_account(name)
    make_account("dora", state="suspended")
    make_account("emil", state="invited")
    remove(make_account("frank"))
    counted = board()
    assert (counted.users, counted.active_users, counted.suspended_users) == (5, 3, 1)


def test_sign_ups_of_today_are_those_since_midnight_who_are_still_there(app: Doorward) -> None:
    make_account("alice")
    make_account("bob", created_at=clock.now() - timedelta(hours=11, minutes=55))
    make_account("carol", created_at=clock.now() - timedelta(hours=12, minutes=5))
    make_account("ada")
    remove(make_account("frank"))
    assert board().signed_up_today == 2


def test_conversations_and_top_users_are_what_verify_spent(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate = machine()
    frank = make_account("frank")
    for account, times in ((make_account("alice"), 3), (make_account("bob"), 5), (frank, 7)):
        body = {"key": key_of(account), "cost": {"conversations": times}}
        assert gate.post("/keys/verify", body).get_json()["valid"]
    remove(frank)
    counted = board()
    assert counted.conversations_today == 15
    assert [(name, used) for _, name, used in counted.top_users] == [("bob", 5), ("alice", 3)]
    assert counted.days[-1] == (clock.now().date(), 15, 0)
    assert len(counted.days) == 30
    assert sum(used for _, used, _ in counted.days) == 15


def test_top_models_are_what_was_pushed(machine: Callable[..., Machine]) -> None:
    gate = machine()
    make_account("alice")
    records: list[dict[str, Any]] = [
        {"username": "alice", "model": model, "prompt": "Hello"} for model in ("m-1", "m-2", "m-2")
    ]
    assert gate.post("/message-logs", {"records": records}).get_json()["accepted"] == 3
    assert board().spool_bytes > 0
    run_job("flush_message_logs", by_hand=True)
    counted = board()
    assert counted.top_models == [("m-2", 2), ("m-1", 1)]
    assert counted.days[-1][2] == 3
    assert counted.spool_bytes == 0


def test_failed_sign_ins_are_counted(visitor: Visitor) -> None:
    make_account("alice")
    visitor.sign_in("alice", "not the password")
    visitor.sign_in("nobody.there", "not the password")
    visitor.sign_in("alice")
    assert board().failed_sign_ins_today == 2


def test_the_first_visit_finds_the_figures_counted(person: Callable[..., Visitor]) -> None:
    make_account("alice")
    page = person("max").get("/admin")
    assert page.status == 200
    assert "Users 1 1 active, 0 suspended" in page.text
    make_account("bob")
    assert "Users 1 1 active" in person("ada").get("/admin").text  # counting is the job's work
    clock.shift(clock.offset() + timedelta(hours=1))  # however long the first count took, it is time again
    run_job("count_figures", by_hand=True)
    assert "Users 2 2 active" in person("mia", permissions=[]).get("/admin").text


def test_many_first_visits_at_once_all_succeed(person: Callable[..., Visitor]) -> None:
    visitors = [person(f"admin{number}", permissions=[]) for number in range(6)]
    with transaction():
        db.session.execute(delete(Figure))  # the sign-ins above led to the dashboard
    answers = race(6, lambda number: visitors[number].get("/admin").status)
    assert answers == [200] * 6


def test_the_chart_has_thirty_days_of_both(person: Callable[..., Visitor]) -> None:
    drawn: dict[str, Any] = person("max").get("/admin/days.json").response.get_json()
    assert len(drawn["x"]) == 30
    assert [len(series["values"]) for series in drawn["series"]] == [30, 30]


def test_counting_takes_one_hundredth_of_the_time_at_most(app: Doorward) -> None:
    with transaction():
        assert count_figures(patiently=True)
        figure = db.session.get_one(Figure, "dashboard")
        figure.value = {**figure.value, "took_s": 1.8}
    noon = clock.offset()
    clock.shift(noon + timedelta(seconds=170))
    assert not count_figures(patiently=True)
    assert count_figures()
    db.session.rollback()
    clock.shift(noon + timedelta(seconds=190))
    with transaction():
        assert count_figures(patiently=True)
    assert dashboard(operator_actor()).counted_at > clock.now() - timedelta(seconds=10)


def test_the_figures_are_for_the_console(app: Doorward) -> None:
    for name in ("alice", "tara"):
        make_account(name)
        with pytest.raises(Forbidden):
            dashboard(actor_named(name))
