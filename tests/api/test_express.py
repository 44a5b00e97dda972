"""The express lane answers as the gates and views would: the same calls both ways, side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.api.express import ROUTES, Express
from portal.clients.models import ServiceClient
from portal.clients.service import disable_client
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.usage.models import UsageDay
from portal.web.frame import Doorward
from tests.api.lanes import Lanes, same
from tests.conftest import Machine
from tests.people import make_account

VERIFY, MANY, CONSUME, PUSH = ROUTES


@pytest.fixture
def lanes(app: Doorward) -> Lanes:
    """Both ways into the application."""
    return Lanes(app)


def test_good_questions_are_answered_alike(
    lanes: Lanes, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice")
    key, headers = key_of(alice), machine().headers()
    bodies: dict[str, dict[str, Any]] = {
        VERIFY: {"key": key},
        MANY: {"items": [{"key": key}, {"key": "dw_nonsense"}]},
        CONSUME: {"username": "Alice", "cost": {"conversations": 2}},
    }
    for path, body in bodies.items():
        answer = same(lanes.post(path, json.dumps(body).encode(), headers))
        assert answer.status_code == 200


@pytest.mark.parametrize("path", [VERIFY, MANY, CONSUME])
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"[]",
        b"\xff\xfe",
        b'{"key": 5}',
        b'{"nonsense": 1}',
        b'{"items": []}',
        b'{"cost": {"credits": -1}}',
        b"1" * 300,
    ],
)
def test_bad_bodies_are_refused_alike(lanes: Lanes, machine: Callable[..., Machine], path: str, body: bytes) -> None:
    assert same(lanes.post(path, body, machine().headers())).status_code in {400, 422}


@pytest.mark.parametrize("path", list(ROUTES))
def test_who_may_not_is_refused_alike(lanes: Lanes, machine: Callable[..., Machine], path: str) -> None:
    strangers = [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic x"}]
    for headers in strangers:
        assert same(lanes.post(path, b"{}", headers)).status_code == 401
    other = "keys:verify" if path == PUSH else "logs:write"
    assert same(lanes.post(path, b"{}", machine(other).headers())).status_code == 403


@pytest.mark.parametrize("path", list(ROUTES))
def test_an_unknown_host_is_refused_alike(lanes: Lanes, machine: Callable[..., Machine], path: str) -> None:
    headers = {**machine().headers(), "Host": "evil.example"}
    assert same(lanes.post(path, b"{}", headers)).status_code == 400


def test_a_key_that_is_none_is_refused_alike(lanes: Lanes, machine: Callable[..., Machine]) -> None:
    headers = {**machine().headers(), "Idempotency-Key": "\u00e9" * 3}
    assert same(lanes.post(VERIFY, b'{"key": "x"}', headers)).status_code == 422


def test_what_fails_inside_is_told_by_the_frame(
    app: Doorward, machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> bytes:
        raise RuntimeError("planted")

    monkeypatch.setitem(ROUTES, VERIFY, ROUTES[VERIFY]._replace(handler=fail))
    answer = machine().post("/keys/verify", {"key": "x"})
    assert answer.status_code == 500
    assert answer.mimetype == "application/problem+json"
    assert "planted" not in answer.text


def test_a_body_cut_short_is_refused(app: Doorward, machine: Callable[..., Machine]) -> None:
    answer = app.test_client().post(
        VERIFY,
        data=b'{"key": "x"}',
        headers={**machine().headers(), "Content-Type": "application/json"},
        environ_overrides={"CONTENT_LENGTH": "50"},
    )
    assert answer.status_code == 400


def test_the_plain_form_goes_past_flask(
    app: Doorward, machine: Callable[..., Machine], key_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, key = machine(), key_of(make_account("alice"))
    lane = app.wsgi_app.inner  # type: ignore[attr-defined]  # the envelope's
    assert isinstance(lane, Express)
    monkeypatch.setattr(lane, "inner", None)
    assert gate.client.post(VERIFY, json={"key": key}, headers=gate.headers()).status_code == 200
    pushed = {"records": [{"username": "alice", "prompt": "x" * 2000}] * 100}
    assert gate.client.post(PUSH, json=pushed, headers=gate.headers()).status_code == 202


def test_each_express_route_is_one_of_flask_with_the_same_gate(app: Doorward) -> None:
    posts = {
        rule.rule: app.view_functions[rule.endpoint]
        for rule in app.url_map.iter_rules()
        if "POST" in (rule.methods or ())
    }
    for path, route in ROUTES.items():
        assert getattr(posts[path], "__capabilities__", ()) == (route.capability,)


def test_a_client_that_is_remembered_and_disabled_meanwhile_is_refused_at_once(
    lanes: Lanes, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, key = machine(), key_of(make_account("alice"))
    bodies = [json.dumps({"key": key}).encode(), b'{"key": "dw_nonsense"}', b"{", b'{"key": 5}']
    assert same(lanes.post(VERIFY, bodies[0], gate.headers())).get_json()["code"] == "VALID"
    with transaction():
        disable_client(operator_actor(), db.session.scalars(select(ServiceClient.id)).one())
    for body in bodies:
        assert same(lanes.post(VERIFY, body, gate.headers())).status_code == 401
    assert db.session.scalar(select(func.sum(UsageDay.used))) == 2


def test_a_client_that_is_remembered_and_lost_a_scope_meanwhile_is_refused_at_once(
    lanes: Lanes, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, body = machine(), json.dumps({"key": key_of(make_account("alice"))}).encode()
    assert same(lanes.post(VERIFY, body, gate.headers())).status_code == 200
    with transaction():
        db.session.scalars(select(ServiceClient)).one().scopes = ["logs:write"]
    assert same(lanes.post(VERIFY, body, gate.headers())).status_code == 403
    with transaction():
        db.session.scalars(select(ServiceClient)).one().scopes = ["keys:verify"]
    assert same(lanes.post(VERIFY, body, gate.headers())).status_code == 200
