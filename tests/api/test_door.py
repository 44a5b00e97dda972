"""The machine door: who gets in, and how errors look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text

from portal.clients.models import ServiceClient
from portal.clients.service import disable_client
from portal.core import access
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import make_account
from tests.visitor import Visitor

VERIFY = "/api/v1/keys/verify"
SCOPES = {VERIFY: "keys:verify", "/api/v1/message-logs": "logs:write"}


def bearer(text: str) -> dict[str, str]:
    """The header of a credential."""
    return {"Authorization": text}


@pytest.mark.parametrize(
    "said", [None, "", "Bearer", "Bearer ", "Bearer nonsense", "Bearer dwc_", "Basic ZGVtbzpkZW1v", "dwc_nonsense",
             "Bearer é", "Bearer dwc_" + "a" * 100_000],
    ids=lambda said: str(said)[:20],
)  # fmt: skip
def test_without_a_good_credential_nobody_gets_in(app: Doorward, said: str | None) -> None:
    for route in SCOPES:
        answer = app.test_client().post(route, json={"key": "x"}, headers=bearer(said) if said is not None else {})
        assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
        assert answer.get_json()["code"] == "UNAUTHENTICATED"
        challenge = 'Bearer realm="api"'
        sent = said is not None and said.partition(" ")[0] == "Bearer"
        assert answer.headers["WWW-Authenticate"] == challenge + (', error="invalid_token"' if sent else "")
        assert "bearer token" in answer.get_json()["title"] and "ign in" not in answer.text


def test_a_cut_or_padded_token_is_refused(app: Doorward, machine: Callable[..., Machine]) -> None:
    token = machine().token or ""
    wrong = [f"Bearer {word}" for word in (token[:-1], token + "x", token.upper(), token.removeprefix("dwc_"))]
    for said in [*wrong, token, f"Basic {token}", f"Token {token}", f"Bearer{token}"]:
        assert app.test_client().post(VERIFY, json={}, headers=bearer(said)).status_code == 401


def test_a_disabled_client_is_refused_from_the_next_call_on(machine: Callable[..., Machine]) -> None:
    gate = machine()
    assert gate.post("/keys/verify", {"key": "x"}).status_code == 200
    client = db.session.scalars(select(ServiceClient)).one()
    with transaction():
        disable_client(operator_actor(), client.id)
    assert gate.post("/keys/verify", {"key": "x"}).status_code == 401


def test_an_api_key_is_no_credential_here(app: Doorward, key_of: Callable[..., str]) -> None:
    key = key_of(make_account("alice"))
    for headers in (bearer(f"Bearer {key}"), {"X-API-Key": key}):
        assert app.test_client().post(VERIFY, json={"key": key}, headers=headers).status_code == 401


def test_a_token_in_the_query_string_is_no_credential(app: Doorward, machine: Callable[..., Machine]) -> None:
    token = machine().token
    assert token
    for name in ("access_token", "token", "key", "authorization"):
        answer = app.test_client().post(f"{VERIFY}?{name}={token}", json={"key": "x"})
        assert answer.status_code == 400
        assert token not in answer.text


@pytest.mark.parametrize("scope", sorted(access.SCOPES))
def test_each_route_wants_its_own_scope(machine: Callable[..., Machine], scope: str) -> None:
    gate = machine(scope)
    for route, wanted in SCOPES.items():
        answer = gate.client.post(route, json={"key": "x"}, headers=gate.headers())
        assert (answer.status_code == 403) is (scope != wanted)
        if scope != wanted:
            said = answer.get_json()
            assert (said["code"], said["detail"]) == ("FORBIDDEN", f"This client lacks the scope {wanted}.")


def test_a_session_cookie_opens_nothing_here(person: Callable[..., Visitor]) -> None:
    for name in ("alice", "ada"):
        answer = person(name).client.post(VERIFY, json={"key": "x"})
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers


def test_a_bearer_token_opens_no_page(app: Doorward, machine: Callable[..., Machine]) -> None:
    token = machine().token
    for path in ("/account", "/staff", "/admin", "/admin/users"):
        answer = app.test_client().get(path, headers=bearer(f"Bearer {token}"))
        assert answer.status_code in {302, 303}
        assert "/sign-in" in answer.headers["Location"]


def test_what_is_not_there_is_not_found(machine: Callable[..., Machine]) -> None:
    for path in ("/nothing", "/keys", "/keys/verify/more", "/message-logs/../../secrets"):
        answer = machine(name=path).get(path)
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
        assert answer.get_json()["code"] == "NOT_FOUND"


def test_another_method_is_told_which_there_are(machine: Callable[..., Machine]) -> None:
    answer = machine().get("/keys/verify")
    assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
    said = answer.get_json()
    assert (said["status"], said["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "POST" in answer.headers["Allow"]


def test_every_path_answers_head_and_slashes_too_many_as_it_should(machine: Callable[..., Machine]) -> None:
    gate = machine()
    for path, status in {"/status-checks": 200, "/keys/verify": 405, "/nothing": 404, "/status-checks/": 404}.items():
        answer = gate.client.head(f"/api/v1{path}", headers=gate.headers())
        assert (answer.status_code, answer.data) == (status, b"")
        assert answer.headers["Content-Type"].startswith("application/")
    assert gate.client.head("/api/v1/status-checks").status_code == 401
    for path in ("/api/v1/status-checks/", "/api/v1/keys/verify/", "/api/v1/", "/api/v1", "/api/v2/me", "/api/nothing"):
        answer = gate.client.get(path, headers=gate.headers())
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json"), path


def test_a_fault_of_ours_tells_no_trace_no_statement_and_no_path(
    app: Doorward, machine: Callable[..., Machine]
) -> None:
    gate = machine()

    def fail() -> None:
        db.session.execute(
            text("SELECT 'planted' FROM service_clients WHERE planted_function(1) = 2 /* /etc/planted */")
        )

    def break_down() -> None:
        raise RuntimeError("planted: /etc/planted, SELECT planted FROM planted")

    faults: list[Any] = [fail, break_down]
    for fault in faults:
        app.view_functions["api.status_checks.list_checks"] = fault
        answer = gate.get("/status-checks")
        assert answer.status_code in {500, 503}
        assert answer.mimetype == "application/problem+json"
        said = answer.get_json()
        assert said["request_id"] == answer.headers["X-Request-Id"]
        for word in ("planted", "SELECT", "Traceback", "Error", ".py", "sqlalchemy"):
            assert word not in answer.text


def test_a_range_past_the_end_is_the_callers_fault(visitor: Visitor) -> None:
    answer = visitor.client.get("/static/icons.svg", headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416


def test_every_answer_carries_its_request_id(machine: Callable[..., Machine]) -> None:
    gate = machine()
    answers = [gate.post("/keys/verify", {"key": "x"}), gate.post("/keys/verify", {}), gate.get("/nothing")]
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == 3
    assert [answer.get_json().get("request_id") for answer in answers] == [None, *ids[1:]]


def test_a_host_that_is_not_ours_is_refused(machine: Callable[..., Machine]) -> None:
    answer = machine().post("/keys/verify", {"key": "x"}, base_url="http://evil.example")
    assert (answer.status_code, answer.get_json()["code"]) == (400, "MALFORMED")
