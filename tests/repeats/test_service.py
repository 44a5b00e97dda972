"""A call that names itself by an Idempotency-Key is done once, whoever repeats it and however often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.accounts.models import Account
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.repeats.models import KeptAnswer
from portal.repeats.service import BATCH, forget_kept
from portal.usage import leases, verdicts
from portal.usage.credits import grant_credits
from portal.usage.models import Lease, Refund
from tests.conftest import Machine
from tests.people import make_account
from tests.races import race, used_by

MANY = pytest.mark.parametrize("setting", [{"threads": 64, "db_timeout_s": 30}])
AT_ONCE = 64
Call = tuple[str, dict[str, Any]]


@pytest.fixture
def alice(app: object) -> Account:
    """Alice with a thousand a day and a thousand credits."""
    made = make_account("alice", daily_limit_override=1000)
    with transaction():
        grant_credits(operator_actor().because("a test"), made.id, 1000)
    return made


@pytest.fixture
def gate(alice: Account, machine: Callable[..., Machine]) -> Machine:
    """A client."""
    return machine("keys:verify", "usage:consume", "usage:lease")


def call(gate: Machine, path: str, body: object, key: str = "retry-1") -> TestResponse:
    """Call with an Idempotency-Key."""
    return gate.post(path, body, headers={"Idempotency-Key": key})


@pytest.fixture
def calls(gate: Machine, alice: Account, key_of: Callable[..., str]) -> list[Call]:
    """One call of every sort that spends or gives back one conversation."""
    key = key_of(alice)
    decision = gate.post("/keys/verify", {"key": key}).get_json()["decision_id"]
    lease = gate.post("/usage/leases", {"key": key, "conversations": 2}).get_json()["lease_id"]
    return [
        ("/keys/verify", {"key": key, "cost": {"credits": 1}}),
        ("/keys/verify-many", {"items": [{"key": key}, {"key": "dw_none"}]}),
        ("/usage/consume", {"username": "alice"}),
        ("/usage/leases", {"key": key, "conversations": 1}),
        ("/usage/leases", {"user_id": str(alice.id), "conversations": 1}),
        ("/usage/refund", {"decision_id": decision}),
        (f"/usage/leases/{lease}/settle", {"used": 1}),
    ]


def test_a_repeated_call_gets_the_same_answer_and_is_done_once(
    gate: Machine, alice: Account, calls: list[Call]
) -> None:
    for number, (path, body) in enumerate(calls):
        first = call(gate, path, body, f"k{number}")
        assert (first.status_code, "Idempotent-Replayed" in first.headers) == (200, False), first.text
        used = used_by(alice)
        for _ in range(2):
            again = call(gate, path, body, f"k{number}")
            assert (again.status_code, again.data) == (200, first.data)
            assert again.headers["Idempotent-Replayed"] == "true"
        assert used_by(alice) == used
    assert used_by(alice) == 3 + 5 - 2


@pytest.mark.parametrize(("module", "place"), [(verdicts, 0), (leases, 4)])
def test_a_twin_that_was_quicker_answers_for_both(
    module: ModuleType, place: int, gate: Machine, alice: Account, calls: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, body = calls[place]
    first, used, looked = call(gate, path, body), used_by(alice), []
    find = module.find_in

    def look_too_early(raw: Any, repeat: Any) -> Any:
        looked.append(repeat)
        return None if len(looked) == 1 else find(raw, repeat)

    monkeypatch.setattr(module, "find_in", look_too_early)
    again = call(gate, path, body)
    assert (again.data, len(looked), used_by(alice)) == (first.data, 2, used)


def test_another_call_with_the_key_is_refused(gate: Machine, alice: Account, calls: list[Call]) -> None:
    (path, body), *others = calls
    assert call(gate, path, body).status_code == 200
    used = used_by(alice)
    for other in [(path, {**body, "model": "m"}), *others]:
        answer = call(gate, *other)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "IDEMPOTENCY_MISMATCH"), other
    unknown = call(gate, "/usage/consume", {"username": "nobody"})
    assert (unknown.status_code, unknown.get_json()["code"]) == (422, "IDEMPOTENCY_MISMATCH")
    assert used_by(alice) == used


def test_each_caller_has_keys_of_its_own(gate: Machine, alice: Account, machine: Callable[..., Machine]) -> None:
    other = machine("usage:consume", name="other")
    answers = [call(one, "/usage/consume", {"username": "alice"}) for one in (gate, other)]
    assert [answer.get_json()["daily"]["used"] for answer in answers] == [1, 2]


@pytest.mark.parametrize(
    "nobody",
    [
        ("/keys/verify", {"key": "dw_none"}),
        ("/keys/verify-many", {"items": [{"key": "dw_none"}]}),
        ("/usage/consume", {"username": "nobody"}),
        ("/usage/leases", {"key": "dw_none", "conversations": 1}),
        ("/usage/leases", {"user_id": "01a1fd82-0000-7000-8000-000000000000", "conversations": 1}),
    ],
    ids=str,
)
def test_refusals_are_repeated_too(gate: Machine, nobody: Call) -> None:
    first, again = (call(gate, *nobody) for _ in range(2))
    assert (first.status_code, again.data) == (200, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    full = [call(gate, "/usage/consume", {"username": "alice", "cost": {"conversations": 1001}}, "k") for _ in range(2)]
    assert full[0].data == full[1].data
    assert full[0].get_json()["code"] == "DAILY_LIMIT_REACHED"


def test_a_call_is_answered_as_the_first_time_though_the_user_is_gone(gate: Machine, alice: Account) -> None:
    first = call(gate, "/usage/consume", {"username": "alice"})
    with transaction():
        alice.username_canonical = "somebody-else"
    again = call(gate, "/usage/consume", {"username": "alice"})
    assert (again.data, again.headers["Idempotent-Replayed"]) == (first.data, "true")


def test_an_error_is_not_kept(gate: Machine, alice: Account) -> None:
    assert call(gate, "/usage/consume", {"username": "alice", "cost": 5}).status_code == 422
    assert call(gate, "/usage/refund", {"decision_id": "ok_none"}).status_code == 404
    assert call(gate, "/usage/consume", {"username": "alice"}).get_json()["daily"]["used"] == 1


def test_after_a_day_the_key_is_free_again(gate: Machine, alice: Account) -> None:
    first = call(gate, "/usage/consume", {"username": "alice"})
    clock.shift(timedelta(hours=23, minutes=59))
    assert call(gate, "/usage/consume", {"username": "alice"}).data == first.data
    clock.shift(timedelta(hours=24, seconds=5))
    anew = call(gate, "/usage/consume", {"username": "alice"})
    assert "Idempotent-Replayed" not in anew.headers
    again = call(gate, "/usage/consume", {"username": "alice"})
    assert (again.data, again.headers["Idempotent-Replayed"]) == (anew.data, "true")
    assert used_by(alice) == 2


def test_a_clock_put_back_forgets_no_answer(gate: Machine, alice: Account) -> None:
    first = call(gate, "/usage/consume", {"username": "alice"})
    clock.shift(-timedelta(days=1))
    assert call(gate, "/usage/consume", {"username": "alice"}).data == first.data
    assert used_by(alice) == 1


def test_old_answers_are_forgotten_by_a_job(gate: Machine) -> None:
    call(gate, "/usage/consume", {"username": "alice"}, "old")
    clock.shift(timedelta(hours=24, seconds=5))
    call(gate, "/usage/consume", {"username": "alice"}, "young")
    with transaction():
        assert (forget_kept(), forget_kept()) == (1, 0)
    assert db.session.scalars(select(KeptAnswer.key)).all() == ["young"]
    assert BATCH > 1


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é", "a\tb", "\x7f"])
def test_a_key_that_is_none_is_refused(gate: Machine, alice: Account, key: str) -> None:
    for path, body in (("/usage/consume", {"username": "alice"}), ("/usage/refund", {"decision_id": "x"})):
        answer = call(gate, path, body, key)
        assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/Idempotency-Key")
    assert used_by(alice) == 0


def test_the_longest_key_is_taken(gate: Machine) -> None:
    assert call(gate, "/usage/consume", {"username": "alice"}, "!" + "~" * 254).status_code == 200


def at_once(gate: Machine, path: str, body: dict[str, Any]) -> list[TestResponse]:
    """The answers to 64 calls of the same name at the same moment."""
    clients = [Machine(gate.client.application.test_client(), gate.token) for _ in range(AT_ONCE)]
    return race(AT_ONCE, lambda number: call(clients[number], path, body))


@MANY
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_of_sixty_four_at_once_one_spends_and_all_hear_it(
    gate: Machine, alice: Account, calls: list[Call], place: int
) -> None:
    before = used_by(alice)
    answers = at_once(gate, *calls[place])
    assert {(answer.status_code, answer.data) for answer in answers} == {(200, answers[0].data)}
    assert Counter("Idempotent-Replayed" in answer.headers for answer in answers) == {True: AT_ONCE - 1, False: 1}
    assert used_by(alice) == before + 1


@MANY
@pytest.mark.parametrize("place", [5, 6])
def test_of_sixty_four_at_once_one_gives_back(gate: Machine, alice: Account, calls: list[Call], place: int) -> None:
    before = used_by(alice)
    answers = at_once(gate, *calls[place])
    done = {answer.data for answer in answers if answer.status_code == 200}
    assert len(done) == 1
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert used_by(alice) == before - 1
    refunds, settled = select(func.count()).select_from(Refund), select(func.count()).where(Lease.state == "settled")
    assert (db.session.scalar(refunds), db.session.scalar(settled)) == ((1, 0) if place == 5 else (0, 1))
    assert call(gate, *calls[place]).data in done


def test_a_named_question_that_costs_nothing_is_answered_again_as_it_was(
    gate: Machine, alice: Account, key_of: Callable[..., str]
) -> None:
    key = key_of(alice)
    free = {"key": key, "cost": {"conversations": 0, "credits": 0}}
    first = call(gate, "/keys/verify", free)
    assert first.get_json()["daily"]["used"] == 0
    assert gate.post("/keys/verify", {"key": key}).get_json()["daily"]["used"] == 1
    again = call(gate, "/keys/verify", free)
    assert (again.data, again.headers["Idempotent-Replayed"]) == (first.data, "true")
