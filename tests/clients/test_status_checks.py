"""Signs of life: who is late is told, the newest of each is kept, old ones go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.audit.models import AuditEntry
from portal.clients import status_checks
from portal.clients.models import ServiceClient, StatusCheck, StatusClient
from portal.clients.status_checks import (
    count_late,
    forget_status_client,
    latest_signs,
    list_status_checks,
    post_status_check,
    signs_of_life,
)
from portal.core import clock
from portal.core.access import SCOPES, operator_actor
from portal.core.actor import Actor, ActorKind
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.insight.health import check_parts
from portal.jobs.table import JOBS
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import actor_named, make_account
from tests.races import race
from tests.visitor import Visitor

LATE = timedelta(seconds=301)


@pytest.fixture
def gate(machine: Callable[..., Machine]) -> Actor:
    """A client that posts them."""
    machine("status:write", name="gate")
    client = db.session.scalars(select(ServiceClient)).one()
    return Actor(ActorKind.CLIENT, client.name, client.id, SCOPES["status:write"] | SCOPES["status:read"])


def post(gate: Actor, name: str = "gate-1", note: str | None = None) -> None:
    """Give a sign of life."""
    with transaction():
        post_status_check(gate, name, note)


def checks() -> int:
    """How many are kept."""
    return db.session.scalar(select(func.count()).select_from(StatusCheck)) or 0


def signs() -> dict[str, bool]:
    """Who is late."""
    db.session.expire_all()
    return {sign.name: sign.late for sign in latest_signs(100)}


def test_who_is_silent_is_late_until_the_next_sign(gate: Actor) -> None:
    post(gate, "a")
    post(gate, "b", "all is well")
    assert (signs(), count_late()) == ({"a": False, "b": False}, 0)
    clock.shift(LATE)
    post(gate, "a")
    assert (signs(), count_late()) == ({"a": False, "b": True}, 1)
    post(gate, "b")
    assert (signs(), count_late()) == ({"a": False, "b": False}, 0)


def test_who_is_silent_for_longest_comes_first(gate: Actor) -> None:
    for number, name in enumerate(("c", "a", "b")):
        clock.shift(timedelta(minutes=number))
        post(gate, name)
    assert [sign.name for sign in signs_of_life(gate)] == ["c", "a", "b"]


def test_names_and_notes_are_made_orderly(gate: Actor) -> None:
    post(gate, "  gate  e\u0301 ", "  ")
    (check,) = list_status_checks(gate).items
    assert (check.client_name, check.note, check.client_id) == ("gate  \u00e9", None, gate.id)
    for name, note, field in (
        ("", None, "client_name"),
        ("x" * 81, None, "client_name"),
        ("x", "y" * 501, "note"),
        ("a\nb", None, "client_name"),
        ("x", "a\0b", "note"),
    ):
        with pytest.raises(Invalid) as told:
            post(gate, name, note)
        assert set(told.value.fields) == {field}
    assert checks() == 1


def test_there_is_an_end_to_names_but_not_to_signs(gate: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_checks, "MOST_NAMES", 2)
    post(gate, "a")
    post(gate, "b")
    with pytest.raises(Conflict):
        post(gate, "c")
    post(gate, "a")
    assert checks() == 3


def test_many_at_once_are_all_kept_and_one_is_the_latest(gate: Actor, app: Doorward) -> None:
    def one(_number: int) -> None:
        with app.app_context():
            post(gate)

    race(8, one)
    assert checks() == 8
    assert signs() == {"gate-1": False}
    assert db.session.scalars(select(StatusClient)).one().last_at == db.session.scalar(
        select(func.max(StatusCheck.created_at))
    )


def test_old_ones_go_and_the_newest_of_each_stays(gate: Actor) -> None:
    for number, name in enumerate(("a", "a", "b")):
        clock.shift(timedelta(seconds=number))
        post(gate, name)
    clock.shift(timedelta(days=6))
    post(gate, "b")
    assert JOBS["tidy_status_checks"].work() == "dropped 0"
    clock.shift(timedelta(days=8))
    assert JOBS["tidy_status_checks"].work() == "dropped 2"
    assert sorted(check.client_name for check in list_status_checks(gate).items) == ["a", "b"]
    assert signs() == {"a": True, "b": True}


def test_who_is_forgotten_is_late_no_more_and_comes_back_by_itself(gate: Actor) -> None:
    post(gate, "a")
    clock.shift(LATE)
    with transaction():
        forget_status_client(operator_actor(), "a")
    assert (signs(), count_late()) == ({}, 0)
    (entry,) = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "status.forgotten"))
    assert entry.facts == {"name": "a"}
    with pytest.raises(NotFound):
        forget_status_client(operator_actor(), "a")
    post(gate, "a")
    assert signs() == {"a": False}


@pytest.mark.parametrize("name", ["alice", "tara", "max"])
def test_who_has_no_right_posts_and_forgets_nothing(gate: Actor, name: str) -> None:
    make_account(name)
    post(gate, "a")
    with pytest.raises(Forbidden):
        post_status_check(actor_named(name), "a", None)
    with pytest.raises(Forbidden):
        forget_status_client(actor_named(name), "a")


def clients_part() -> tuple[str, str]:
    """What health says of those who post signs of life."""
    (part,) = [part for part in check_parts() if part.name == "clients"]
    assert not part.matters
    return part.state, part.words


def metric(visitor: Visitor, name: str) -> dict[str, float]:
    """A metric's lines."""
    said = visitor.client.get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"}).get_data(as_text=True)
    found = [line.rpartition(" ") for line in said.splitlines() if line.startswith(name)]
    return {left[len(name) :]: float(value) for left, _, value in found}


def test_health_and_metrics_tell_who_is_late(gate: Actor, visitor: Visitor) -> None:
    assert clients_part() == ("ok", "nobody is late")
    assert metric(visitor, "doorward_status_late") == {"": 0.0}
    post(gate, 'a "quoted"\\ name')
    clock.shift(LATE)
    post(gate, "b")
    assert clients_part() == ("warning", "1 late")
    assert visitor.client.get("/health/ready").status_code == 200
    assert metric(visitor, "doorward_status_late") == {"": 1.0}
    ages = metric(visitor, "doorward_status_age_seconds")
    assert set(ages) == {'{client_name="a \\"quoted\\"\\\\ name"}', '{client_name="b"}'}
    assert max(ages.values()) >= LATE.total_seconds() > min(ages.values())


def test_the_metric_names_no_more_than_it_may(gate: Actor, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.ops.MOST_MEASURED", 2)
    for name in ("a", "b", "c"):
        post(gate, name)
    clock.shift(LATE)
    assert len(metric(visitor, "doorward_status_age_seconds")) == 2
    assert metric(visitor, "doorward_status_late") == {"": 3.0}


def ask(gate: Machine, **said: Any) -> tuple[int, Any]:
    """POST one."""
    answer = gate.post("/status-checks", said)
    return answer.status_code, answer.get_json()


def test_over_the_api_they_are_posted_and_listed_newest_first(machine: Callable[..., Machine]) -> None:
    gate = machine("status:write", "status:read")
    made = [ask(gate, client_name=name, note=note) for name, note in (("a", None), ("b", "well"), ("a", "again"))]
    assert [status for status, _ in made] == [201] * 3
    assert set(made[0][1]) == {"id", "client_name", "note", "created_at"}
    first = gate.get("/status-checks", query_string={"limit": "2"}).get_json()
    rest = gate.get("/status-checks", query_string={"limit": "2", "cursor": first["next_cursor"]}).get_json()
    assert first["items"] + rest["items"] == [one for _, one in reversed(made)]
    assert rest["next_cursor"] is None
    assert gate.get("/status-checks", query_string={"colour": "red"}).status_code == 422


def test_over_the_api_a_bad_one_is_told_at_its_field(machine: Callable[..., Machine]) -> None:
    gate = machine("status:write")
    for said, at in (
        ({}, "/client_name"),
        ({"client_name": ""}, "/client_name"),
        ({"client_name": 1}, "/client_name"),
        ({"client_name": "a", "note": "x" * 501}, "/note"),
        ({"client_name": "a", "b": 1}, "/b"),
    ):
        status, told = ask(gate, **said)
        assert (status, [error["pointer"] for error in told["errors"]]) == (422, [at])
    assert checks() == 0


def test_over_the_api_one_said_twice_under_one_name_is_one(machine: Callable[..., Machine]) -> None:
    gate, name = machine("status:write"), {"Idempotency-Key": "once"}
    first, again = (gate.post("/status-checks", {"client_name": "a"}, headers=name) for _ in range(2))
    assert first.get_json() == again.get_json()
    assert checks() == 1


def test_over_the_api_scopes_part_reading_from_writing(machine: Callable[..., Machine]) -> None:
    reader, writer = machine("status:read", name="reader"), machine("status:write", name="writer")
    assert ask(reader, client_name="a")[0] == 403
    assert writer.get("/status-checks").status_code == 403
    assert ask(writer, client_name="a")[0] == 201
    assert reader.get("/status-checks").status_code == 200
