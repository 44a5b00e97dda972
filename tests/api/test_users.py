"""/api/v1/users/{id}/prompts: kept, listed, searched, changed by version, deleted; once, however often it is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from portal.accounts.models import Account
from portal.core.access import operator_actor
from portal.core.database import transaction
from portal.core.ids import new_id
from portal.privacy.deletion import delete_user
from tests.conftest import Machine
from tests.people import make_account

Kept = Callable[..., dict[str, Any]]


@pytest.fixture
def alice(app: object) -> Account:
    """Whose prompts they are."""
    return make_account("alice")


@pytest.fixture
def gate(alice: Account, machine: Callable[..., Machine]) -> Machine:
    """A client that may read and write prompts."""
    return machine("prompts:read", "prompts:write")


@pytest.fixture
def place(alice: Account) -> str:
    """Where they are."""
    return f"/users/{alice.id}/prompts"


@pytest.fixture
def keep(gate: Machine, place: str) -> Kept:
    """Keep one: `keep(title="x")`."""

    def post(**fields: Any) -> dict[str, Any]:
        answer = gate.post(place, {"title": "Greeting", "content": "Say hello", **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.get_json()
        return made

    return post


def call(gate: Machine, method: str, path: str, json: Any = None, **headers: str) -> TestResponse:
    """PATCH or DELETE under /api/v1; headers by their names with underscores."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return gate.client.open(f"/api/v1{path}", method=method, json=json, headers={**gate.headers(), **given})


def code_of(answer: TestResponse) -> tuple[int, str]:
    """The status and the code of a problem."""
    return answer.status_code, answer.get_json()["code"]


def test_it_is_as_the_contract_has_it(gate: Machine, place: str) -> None:
    answer = gate.post(place, {"title": "Greeting", "content": "Say hello"})
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"1"')
    made = answer.get_json()
    assert set(made) == {"id", "title", "content", "response", "created_at", "updated_at"}
    assert (made["title"], made["content"], made["response"]) == ("Greeting", "Say hello", None)
    one = gate.get(f"{place}/{made['id']}")
    assert (one.status_code, one.get_json(), one.headers["ETag"]) == (200, made, '"1"')
    assert gate.get(place).get_json() == {"items": [made], "next_cursor": None}


def test_the_response_is_filled_in_later_and_the_rest_stays(gate: Machine, place: str, keep: Kept) -> None:
    made = keep()
    answer = call(gate, "PATCH", f"{place}/{made['id']}", {"response": "Hello!"})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    assert {**answer.get_json(), "updated_at": None} == {**made, "response": "Hello!", "updated_at": None}
    assert call(gate, "PATCH", f"{place}/{made['id']}", {"response": None}).get_json()["response"] is None


def test_a_version_that_is_over_changes_nothing(gate: Machine, place: str, keep: Kept) -> None:
    one = f"{place}/{keep()['id']}"
    assert call(gate, "PATCH", one, {"title": "mine"}, If_Match='"1"').status_code == 200
    assert code_of(call(gate, "PATCH", one, {"title": "yours"}, If_Match='"1"')) == (412, "STALE")
    assert code_of(call(gate, "DELETE", one, If_Match='"1"')) == (412, "STALE")
    assert code_of(call(gate, "DELETE", one, If_Match="nonsense")) == (412, "STALE")
    assert gate.get(one).get_json()["title"] == "mine"
    assert call(gate, "PATCH", one, {"title": "later"}, If_Match='"1", "2"').status_code == 200
    assert call(gate, "PATCH", one, {"title": "any"}, If_Match="*").status_code == 200
    assert call(gate, "DELETE", one, If_Match='"4"').status_code == 204
    assert gate.get(one).status_code == 404


def test_said_twice_under_one_name_it_is_kept_once(gate: Machine, place: str) -> None:
    said, name = {"title": "Greeting", "content": "Say hello"}, {"Idempotency-Key": "once"}
    first, again = (gate.post(place, said, headers=name) for _ in range(2))
    assert first.get_json() == again.get_json()
    assert (again.status_code, again.headers["Idempotent-Replayed"], again.headers["ETag"]) == (201, "true", '"1"')
    assert len(gate.get(place).get_json()["items"]) == 1
    assert code_of(gate.post(place, {**said, "title": "other"}, headers=name)) == (422, "IDEMPOTENCY_MISMATCH")


def test_pages_follow_each_other(gate: Machine, place: str, keep: Kept) -> None:
    made = {keep(title=f"number {number}")["id"] for number in range(5)}
    seen: list[str] = []
    cursor = None
    while True:
        asked = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        answer = gate.get(place, query_string=asked).get_json()
        assert len(answer["items"]) <= 2
        seen += [item["id"] for item in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert (len(seen), set(seen)) == (5, made)
    assert code_of(gate.get(place, query_string={"cursor": "forged"})) == (400, "MALFORMED")


def test_words_narrow_the_list(gate: Machine, place: str, keep: Kept) -> None:
    keep(title="Soup", content="with leek")
    keep(title="Ship")
    found = gate.get(place, query_string={"q": "LEEK"}).get_json()["items"]
    assert [item["title"] for item in found] == ["Soup"]


@pytest.mark.parametrize(
    ("asked", "at"),
    [
        ({"colour": "red"}, "/colour"),
        ({"limit": "0"}, "/limit"),
        ({"limit": "201"}, "/limit"),
        ({"limit": "x"}, "/limit"),
    ],
)
def test_what_a_list_does_not_know_is_named(gate: Machine, place: str, asked: dict[str, str], at: str) -> None:
    answer = gate.get(place, query_string=asked)
    assert code_of(answer) == (422, "INVALID")
    assert [error["pointer"] for error in answer.get_json()["errors"]] == [at]


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ({"title": "x"}, "/content"),
        ({"title": "x", "content": "y", "colour": "red"}, "/colour"),
        ({"title": "", "content": "y"}, "/title"),
        ({"title": 7, "content": "y"}, "/title"),
        ({"title": "x", "content": "y" * 65_537}, "/content"),
        ({"title": "x", "content": "y", "response": "z" * 65_537}, "/response"),
    ],
)
def test_a_bad_one_is_told_at_its_field(gate: Machine, place: str, said: dict[str, Any], at: str) -> None:
    answer = gate.post(place, said)
    assert code_of(answer) == (422, "INVALID")
    assert at in [error["pointer"] for error in answer.get_json()["errors"]]
    assert gate.get(place).get_json()["items"] == []


def test_scopes_part_reading_from_writing(machine: Callable[..., Machine], place: str, keep: Kept) -> None:
    one = f"{place}/{keep()['id']}"
    reader, writer = machine("prompts:read", name="reader"), machine("prompts:write", name="writer")
    verifier = machine("keys:verify", name="verifier")
    assert reader.get(one).status_code == 200
    for denied in (
        reader.post(place, {"title": "x", "content": "y"}),
        call(reader, "PATCH", one, {"title": "x"}),
        call(reader, "DELETE", one),
        writer.get(one),
        writer.get(place),
        verifier.get(place),
        verifier.post(place, {"title": "x", "content": "y"}),
    ):
        assert code_of(denied) == (403, "FORBIDDEN")
    assert code_of(Machine(reader.client, None).get(place)) == (401, "UNAUTHENTICATED")


def test_of_nobody_of_no_user_and_under_another_there_is_nothing(gate: Machine, place: str, keep: Kept) -> None:
    made = keep()["id"]
    bob, ada = make_account("bob"), make_account("ada")
    answers = [gate.get(f"/users/{bob.id}/prompts/{made}"), gate.get(f"/users/{bob.id}/prompts/{new_id()}")]
    for user_id in (ada.id, new_id()):
        answers += [gate.get(f"/users/{user_id}/prompts"), gate.get(f"/users/{user_id}/prompts/{made}")]
        answers.append(gate.post(f"/users/{user_id}/prompts", {"title": "x", "content": "y"}))
    answers += [call(gate, "PATCH", f"{place}/{new_id()}", {"title": "x"}), call(gate, "DELETE", f"{place}/{new_id()}")]
    assert {code_of(answer) for answer in answers} == {(404, "NOT_FOUND")}
    assert len({answer.get_json()["detail"] for answer in answers}) == 1


def test_those_of_somebody_deleted_are_out_of_reach(gate: Machine, alice: Account, place: str, keep: Kept) -> None:
    one = f"{place}/{keep()['id']}"
    with transaction():
        delete_user(operator_actor().because("asked for it"), alice.id, typed_name="alice")
    assert {gate.get(path).status_code for path in (one, place)} == {404}
