"""/api/v1/me as the person it is about: a whole life over the API, and what nobody else may see or change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db
from portal.core.ids import new_id
from portal.messages.flush import flush
from portal.repeats.models import KeptAnswer
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import PASSWORD, make_account
from tests.races import race

NEW = {"username": "grace", "email": "grace@example.org", "password": PASSWORD}


def problem_of(answer: TestResponse) -> tuple[int, str, list[str]]:
    """The status, the code, and where something is wrong."""
    told = answer.get_json()
    return answer.status_code, told["code"], [error["pointer"] for error in told.get("errors", [])]


def sign_in(app: Doorward, name: str = "grace") -> Machine:
    """Tokens by the token endpoint."""
    form = {"grant_type": "password", "username": name, "password": PASSWORD}
    answer = app.test_client().post("/api/v1/auth/token", data=form)
    assert answer.status_code == 200, answer.text
    return Machine(app.test_client(), answer.get_json()["access_token"])


def test_a_whole_life(app: Doorward, machine: Callable[..., Machine], caller: Callable[..., Machine]) -> None:
    nobody, gate, bob = Machine(app.test_client(), None), machine("keys:verify"), caller("bob")
    born = nobody.post("/auth/register", NEW | {"display_name": "Grace", "time_zone": "Europe/Berlin"})
    assert (born.status_code, born.headers["ETag"]) == (201, '"1"')
    grace, account = sign_in(app), born.get_json()
    told = {"plan": "free", "state": "active", "kind": "user", "language": "en", "time_zone": "Europe/Berlin"}
    assert told.items() <= account.items()
    for path in ("/me", "/auth/me"):
        again = grace.get(path)
        assert {**again.get_json(), "last_seen_at": None} == {**account, "last_seen_at": None}
        assert again.headers["ETag"] == '"1"'

    changed = grace.patch("/me", {"display_name": "Grace H.", "language": "de"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.get_json()["display_name"]) == (200, "Grace H.")
    now = grace.get("/me")
    assert (now.headers["ETag"], now.get_json()) == (changed.headers["ETag"], changed.get_json())
    assert problem_of(grace.patch("/me", {"display_name": "x"}, headers={"If-Match": '"1"'})) == (412, "STALE", [])
    assert problem_of(grace.patch("/me", {"email": "x@y.org"})) == (422, "INVALID", ["/email"])
    for field, value in (("time_zone", "Mars/Olympus"), ("language", "xx"), ("display_name", "x" * 81)):
        assert problem_of(grace.patch("/me", {field: value})) == (422, "INVALID", [f"/{field}"])

    named = {"Idempotency-Key": "notebook"}
    terms = {"name": "Notebook", "scopes": ["chat"], "daily_limit": 5}
    made, replay = (grace.post("/me/keys", terms, headers=named) for _ in range(2))
    assert (made.status_code, made.headers["ETag"], replay.headers["ETag"]) == (201, '"1"', '"1"')
    key = made.get_json()
    secret = key.pop("key")
    assert replay.get_json() == {**key, "key": None}
    assert all(secret.encode() not in kept.body for kept in db.session.query(KeptAnswer))
    assert gate.post("/keys/verify", {"key": secret, "scopes": ["chat"]}).get_json()["code"] == "VALID"
    assert gate.post("/keys/verify", {"key": secret, "scopes": ["embed"]}).get_json()["code"] == "SCOPE_MISSING"
    one = f"/me/keys/{key['id']}"
    widened = grace.patch(one, {"scopes": ["chat", "embed"]}, headers={"If-Match": '"1"'})
    assert (widened.status_code, widened.get_json()["daily_limit"]) == (200, 5)
    read = grace.get(one)
    assert (read.get_json()["scopes"], read.headers["ETag"]) == (["chat", "embed"], widened.headers["ETag"])
    assert grace.patch(one, {"name": "x"}, headers={"If-Match": '"1"'}).status_code == 412
    assert grace.delete(one, headers={"If-Match": '"1"'}).status_code == 412
    assert gate.post("/keys/verify", {"key": secret, "scopes": ["embed"]}).get_json()["code"] == "VALID"

    theirs = [bob.get(one), bob.patch(one, {"name": "x"}), bob.delete(one), bob.post(f"{one}/rotate", {})]
    assert {answer.status_code for answer in theirs} == {404}
    turned, replay = (grace.post(f"{one}/rotate", {"overlap_s": 0}, headers={"Idempotency-Key": "turn"}) for _ in "12")
    assert (turned.status_code, replay.get_json()) == (201, {**turned.get_json(), "key": None})
    fresh = turned.get_json()["key"]
    verdicts = [gate.post("/keys/verify", {"key": it}).get_json()["code"] for it in (secret, fresh)]
    assert verdicts == ["KEY_REVOKED", "VALID"]
    assert problem_of(grace.post(f"{one}/rotate", {})) == (409, "CONFLICT", [])
    states = {item["id"]: item["state"] for item in grace.get("/me/keys").get_json()["items"]}
    assert states == {key["id"]: "revoked", turned.get_json()["id"]: "active"}
    assert [item["id"] for item in grace.get("/me/keys?ended=true").get_json()["items"]] == [key["id"]]
    assert bob.get("/me/keys").get_json()["items"] == []
    assert grace.delete(f"/me/keys/{turned.get_json()['id']}").status_code == 204
    assert gate.post("/keys/verify", {"key": fresh}).get_json()["code"] == "KEY_REVOKED"

    events = [deed["event"] for deed in grace.get("/me/activity").get_json()["items"]]
    assert {"account.registered", "key.created", "key.changed", "key.rotated", "key.revoked"} <= set(events)
    first = grace.get("/me/activity?limit=2").get_json()
    rest = grace.get("/me/activity", query_string={"cursor": first["next_cursor"]}).get_json()["items"]
    assert [deed["event"] for deed in [*first["items"], *rest]] == events
    assert grace.get("/me/activity?looks=true").get_json() == {"items": [], "next_cursor": None}


def test_of_two_who_change_what_they_saw_at_once_one_is_told(caller: Callable[..., Machine]) -> None:
    alice = caller("alice")
    key = alice.post("/me/keys", {"name": "x"}).get_json()["id"]
    for place, field in (("/me", "time_zone"), ("/me", "display_name"), (f"/me/keys/{key}", "name")):
        seen = {"If-Match": alice.get(place).headers["ETag"]}

        def change(number: int, place: str = place, field: str = field, seen: dict[str, str] = seen) -> Any:
            mine = Machine(alice.client.application.test_client(), alice.token)
            answer = mine.patch(place, {field: ["Asia/Tokyo", "Asia/Seoul"][number]}, headers=seen)
            return answer.status_code, answer.get_json()

        told = race(2, change)
        assert sorted(status for status, _ in told) == [200, 412], told
        (kept,) = (body for status, body in told if status == 200)
        assert alice.get(place).get_json() == kept


def test_what_is_wrong_with_a_key_is_said_as_on_the_page(caller: Callable[..., Machine]) -> None:
    alice = caller("alice")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"name": ""}, "/name"),
        ({"name": "x", "colour": 1}, "/colour"),
        ({"name": "x", "scopes": ["No!"]}, "/scopes"),
        ({"name": "x", "networks": ["nowhere"]}, "/networks"),
        ({"name": "x", "daily_limit": -1}, "/daily_limit"),
        ({"name": "x", "daily_limit": 10**30}, "/daily_limit"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"name": "x", "expires_at": "9999-12-31T23:59:59-23:59"}, "/expires_at"),
        ({"name": "x", "expires_at": "tomorrow"}, "/expires_at"),
        ({"name": "x\0"}, "/name"),
    ]
    for said, at in wrong:
        assert problem_of(alice.post("/me/keys", said)) == (422, "INVALID", [at]), said
    told = alice.post("/me/keys", {"name": "", "daily_limit": -1}).get_json()["errors"]
    assert [error["detail"] for error in told] == [
        "Give the key a name, so that you know it again.",
        "A whole number from 0 to 1,000,000.",
    ]
    made = alice.post("/me/keys", {"name": "x"}).get_json()["id"]
    assert problem_of(alice.post(f"/me/keys/{made}/rotate", {"overlap_s": -1})) == (422, "INVALID", ["/overlap_s"])
    assert problem_of(alice.get("/me/keys?ended=perhaps")) == (422, "INVALID", ["/ended"])
    ends = (clock.now() + timedelta(days=3)).isoformat()
    assert alice.patch(f"/me/keys/{made}", {"expires_at": ends}).get_json()["expires_at"] == ends
    assert alice.patch(f"/me/keys/{made}", {"expires_at": None}).get_json()["expires_at"] is None


def test_what_is_dangerous_wants_a_fresh_password_and_the_rest_does_not(caller: Callable[..., Machine]) -> None:
    alice = caller("alice")
    made = alice.post("/me/keys", {"name": "x"}).get_json()["id"]
    clock.shift(timedelta(minutes=6))
    asked = [
        alice.post("/me/keys", {"name": "y"}),
        alice.patch(f"/me/keys/{made}", {"name": "y"}),
        alice.post(f"/me/keys/{made}/rotate", {}),
        alice.delete(f"/me/keys/{made}"),
        alice.delete("/me/sessions"),
        alice.delete(f"/me/sessions/{new_id()}"),
    ]
    assert {problem_of(answer)[:2] for answer in asked} == {(403, "REAUTH_REQUIRED")}
    assert alice.patch("/me", {"display_name": "Al"}).status_code == 200
    assert alice.get(f"/me/keys/{made}").get_json()["name"] == "x"


def test_who_has_what_of_it(caller: Callable[..., Machine], machine: Callable[..., Machine]) -> None:
    own = ["/me", "/auth/me", "/me/activity", "/me/sessions"]
    users = ["/me/keys", "/me/prompts", "/me/message-logs"]
    for name in ("tess", "max"):
        who = caller(name)
        assert [who.get(path).status_code for path in own + users] == [200] * 4 + [403] * 3
        assert (who.get("/me").get_json()["plan"], who.get("/me").get_json()["username"]) == (None, name)
    client = machine()
    for path in own + users:
        answer = client.get(path)
        assert problem_of(answer)[:2] == (403, "FORBIDDEN")
        assert answer.get_json()["detail"] == "This is for accounts: no scope of a client opens it."
    assert {Machine(client.client, None).get(path).status_code for path in own + users} == {401}


def test_where_one_is_signed_in_and_how_that_ends(
    caller: Callable[..., Machine], person: Callable[..., Any], app: Doorward
) -> None:
    browser, alice, other, bob = person("alice"), caller("alice"), caller("alice"), caller("bob")
    listed = alice.get("/me/sessions").get_json()["items"]
    assert [item["current"] for item in listed] == [False, True, False]
    assert {tuple(sorted(item)) for item in listed} == {
        ("address", "created_at", "current", "device", "id", "last_seen_at")
    }
    paged = alice.get("/me/sessions?limit=2").get_json()
    rest = alice.get("/me/sessions", query_string={"cursor": paged["next_cursor"]}).get_json()
    assert [*paged["items"], *rest["items"]] == listed
    of_other, own, of_browser = (item["id"] for item in listed)
    assert {bob.delete(f"/me/sessions/{one}").status_code for one in (of_other, own, of_browser)} == {404}
    assert alice.delete(f"/me/sessions/{of_browser}").status_code == 204
    assert browser.get("/account", follow=False).status == 302
    assert alice.delete("/me/sessions").status_code == 204
    assert (alice.get("/me").status_code, other.get("/me").status_code) == (200, 401)
    assert alice.delete(f"/me/sessions/{own}").status_code == 204
    assert (alice.get("/me").status_code, bob.get("/me").status_code) == (401, 200)


@pytest.mark.parametrize("setting", [{"confirm_email": True}])
def test_registering_tells_of_usernames_and_nothing_of_addresses(app: Doorward) -> None:
    make_account("alice")
    nobody = Machine(app.test_client(), None)
    known = nobody.post("/auth/register", NEW | {"email": "alice@example.org"})
    fresh = nobody.post("/auth/register", NEW)
    assert known.status_code == fresh.status_code == 202
    assert known.get_json() == fresh.get_json() == {"status": "check_mail"}
    assert "ETag" not in fresh.headers
    wrong = [
        (NEW | {"username": "alice"}, "/username"),
        (NEW | {"username": "Alice", "email": "new@example.org"}, "/username"),
        (NEW | {"username": "henry", "email": "nobody"}, "/email"),
        (NEW | {"username": "henry", "password": "short"}, "/password"),
        (NEW | {"username": "henry", "time_zone": "Mars/Olympus"}, "/time_zone"),
        (NEW | {"username": "henry", "state": "active"}, "/state"),
    ]
    for said, at in wrong:
        assert problem_of(nobody.post("/auth/register", said)) == (422, "INVALID", [at]), said
    assert db.session.query(AuditEntry).filter_by(event="account.registered").count() == 1


@pytest.mark.parametrize("setting", [{"registration": "invite"}])
def test_where_one_is_invited_nobody_registers(app: Doorward) -> None:
    answer = Machine(app.test_client(), None).post("/auth/register", NEW)
    assert problem_of(answer) == (403, "FORBIDDEN", [])


def test_own_conversations_are_read_and_searched_and_nobody_elses(
    caller: Callable[..., Machine], machine: Callable[..., Machine]
) -> None:
    alice, bob = caller("alice"), caller("bob")
    said = [
        {"id": "a", "username": "alice", "prompt": "a lantern", "response": "bright", "model": "m-1",
         "conversation_id": "c-1", "timestamp": "2026-01-01T10:00:00Z", "metadata": {"tag": 1}},
        {"id": "b", "username": "alice", "prompt": "a lighthouse", "timestamp": "2026-01-02T10:00:00Z"},
        {"id": "c", "username": "bob", "prompt": "a lantern", "model": "m-1", "conversation_id": "c-1",
         "timestamp": "2026-01-03T10:00:00Z"},
    ]  # fmt: skip
    assert machine("logs:write").post("/message-logs", {"records": said}).get_json()["accepted"] == 3
    assert flush().stored == 3

    def found(**asked: str) -> list[str]:
        answer = alice.get("/me/message-logs", query_string=asked)
        assert answer.status_code == 200, answer.text
        return [item["source_id"] for item in answer.get_json()["items"]]

    assert found() == ["b", "a"]
    for narrow in ({"q": "lantern"}, {"model": "m-1"}, {"conversation_id": "c-1"}, {"to": "2026-01-02T00:00:00Z"}):
        assert found(**narrow) == ["a"], narrow
    assert found(**{"from": "2026-01-02T00:00:00Z"}) == ["b"]
    first = alice.get("/me/message-logs?limit=1").get_json()
    assert found(cursor=first["next_cursor"]) == ["a"]
    assert problem_of(alice.get("/me/message-logs?user_id=x")) == (422, "INVALID", ["/user_id"])
    (of_bob,) = bob.get("/me/message-logs").get_json()["items"]
    assert alice.get(f"/me/message-logs/{of_bob['id']}").status_code == 404
    (listed,) = alice.get("/me/message-logs?q=lantern").get_json()["items"]
    read = alice.get(f"/me/message-logs/{listed['id']}").get_json()
    assert listed.items() <= read.items()
    assert (read["content"], read["metadata"]) == ("kept", {"tag": 1})
    assert [message["content"] for message in read["messages"]] == ["a lantern", "bright"]
    assert not db.session.query(AuditEntry).filter(AuditEntry.event.startswith("content.")).count()
