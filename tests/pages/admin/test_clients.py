"""/admin/clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.conftest import Machine
from tests.visitor import Visitor

if TYPE_CHECKING:
    from portal.web.frame import Doorward

NEW = "/admin/clients/new"


def test_a_token_is_shown_once_works_and_dies_when_disabled(app: Doorward, person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    made = ada.send(ada.get(NEW), {"name": "gateway", "scopes": ["keys:verify"]})
    assert made.status == 201
    token = made.code("client-token")
    gate = Machine(app.test_client(), token)
    assert gate.post("/keys/verify", {"key": "dw_x"}).status_code == 200
    assert gate.get("/message-logs").status_code == 403  # not in its scopes
    listed = ada.get("/admin/clients")
    assert token not in listed.html
    action = next(form.get("action") or "" for form in listed.forms() if "/disable" in (form.get("action") or ""))
    assert "Disabled" in ada.send(listed, to=action).text
    assert gate.post("/keys/verify", {"key": "dw_x"}).status_code == 401


def test_a_rate_is_given_with_the_client_and_changed_after(app: Doorward, person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    assert ada.send(ada.get(NEW), {"name": "gateway", "scopes": ["keys:verify"], "rate_per_minute": "0"}).status == 422
    made = ada.send(ada.get(NEW), {"name": "gateway", "scopes": ["keys:verify"], "rate_per_minute": "1200"})
    gate = Machine(app.test_client(), made.code("client-token"))
    assert gate.post("/keys/verify", {"key": "dw_x"}).headers["RateLimit-Policy"] == '"client";q=1200;w=60'
    listed = ada.get("/admin/clients")
    assert "1,200" in listed.text
    change = next(link for link in listed.links() if link.startswith("/admin/clients/") and not link.endswith("/new"))
    assert ada.send(ada.get(change), {"rate_per_minute": "many"}).status == 422
    assert "no limit" in ada.send(ada.get(change), {"rate_per_minute": ""}).text
    assert "RateLimit" not in gate.post("/keys/verify", {"key": "dw_x"}).headers


def test_a_client_wants_a_name_of_its_own_and_a_scope(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    assert ada.send(ada.get(NEW), {"name": "gateway", "scopes": []}).status == 422
    assert ada.send(ada.get(NEW), {"name": "gateway", "scopes": ["keys:verify"]}).status == 201
    assert ada.send(ada.get(NEW), {"name": "gateway", "scopes": ["keys:verify"]}).status == 422
    assert ada.send(ada.get(NEW), {"name": "other", "scopes": ["everything"]}).status == 422
