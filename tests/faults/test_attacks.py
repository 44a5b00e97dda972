"""What an attacker tried once and must never manage again, each through the door that was used."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from portal.accounts.models import Account
from portal.core.database import db
from portal.jobs.runner import run_job
from portal.web.forms import version_of
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import PASSWORD, make_account
from tests.visitor import Visitor

Person = Callable[..., Visitor]


def test_nobody_can_hold_the_name_that_a_deletion_needs(visitor: Visitor, person: Person) -> None:
    alice = make_account("alice")
    page = visitor.send(
        visitor.get("/register"),
        {"username": f"deleted-{alice.id.hex}", "email": "mallory@example.org", "password": "a calm sea at noon 9"},
    )
    assert page.status == 200
    ada = person("ada")
    path = f"/admin/users/{alice.id}"
    fields = {"delete-reason": "asked for it", "delete-username": "alice"}
    assert ada.send(ada.get(path), fields, to=f"{path}/delete").path == "/admin/deleted"


def test_words_are_searched_only_by_who_may_read_them(machine: Callable[..., Machine]) -> None:
    make_account("alice")
    record = {"id": "r-1", "username": "alice", "conversation_id": "c-1", "model": "m-1", "prompt": "zanzibar"}
    writer = machine("logs:write", "logs:read", name="writer")
    assert writer.post("/message-logs", record).status_code == 202
    run_job("flush_message_logs", by_hand=True)
    reader = machine("logs:read", "logs:content", name="reader")
    why = {**reader.headers(), "X-Reason": "a case"}
    for one in ("zanzibar", "zan*"):
        assert writer.get(f"/message-logs?q={one}").get_json()["items"] == []
        assert reader.get(f"/message-logs?q={one}").get_json()["errors"][0]["pointer"] == "/X-Reason"
        found = reader.client.get(f"/api/v1/message-logs?q={one}", headers=why)
        assert len(found.get_json()["items"]) == 1
    assert [len(writer.get(f"/message-logs?q={one}").get_json()["items"]) for one in ("c-1", "M-1", "r-1")] == [1] * 3


def test_a_model_that_grows_when_lowered_is_refused_alike(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice")
    gate, name = machine(), "\u0130" * 80
    assert gate.post("/keys/verify", {"key": key_of(alice), "model": name}).status_code == 422
    pushed = gate.post("/message-logs", {"username": "alice", "prompt": "hi", "model": name}).get_json()
    assert pushed["rejected"] == 1


def test_many_who_delete_at_once_are_told_no_worse_than_a_clash(app: Doorward, person: Person) -> None:
    alice = make_account("alice")
    ada = person("ada")
    path = f"/admin/users/{alice.id}"
    token = next(field.get("value") for field in ada.get(path).tree.iter("input") if field.get("name") == "csrf_token")
    cookie = ada.client.get_cookie("doorward")
    assert cookie is not None

    def delete(_: int) -> int:
        client = app.test_client()
        client.set_cookie("doorward", cookie.value)
        data = {"csrf_token": token, "delete-reason": "x", "delete-username": "alice"}
        return client.post(f"{path}/delete", data=data).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(delete, range(8)))
    assert answers.count(302) == 1
    assert set(answers) <= {302, 404, 409, 422}


@pytest.mark.parametrize("typed", ["\u00b2", "9" * 5000, "-1", "1.5", "", "x", None])
def test_an_odd_version_is_an_old_one(typed: str | None) -> None:
    assert version_of(typed) == 0
    assert version_of("12") == 12


def test_signing_in_again_ends_the_session_of_before(person: Person, app: Doorward) -> None:
    make_account("bob")
    alice = person("alice")
    before = alice.client.get_cookie("doorward")
    assert before is not None
    token = next(
        field.get("value") for field in alice.get("/account").tree.iter("input") if field.get("name") == "csrf_token"
    )
    entered = alice.post("/sign-in", {"csrf_token": token, "name": "bob", "password": PASSWORD})
    assert entered.status == 302
    thief = Visitor(app.test_client())
    thief.client.set_cookie("doorward", before.value)
    assert thief.get("/account", follow=False).status == 302
    assert db.session.scalar(select(Account.state).where(Account.username == "bob")) == "active"
