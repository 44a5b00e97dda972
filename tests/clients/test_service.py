"""Service clients: a token shown once, scopes that one holds oneself, dead the moment it is disabled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from portal.audit import events
from portal.audit.models import AuditEntry
from portal.clients import service
from portal.clients.models import ServiceClient
from portal.clients.service import (
    change_rate,
    client_of_id,
    client_of_token,
    client_record,
    create_client,
    disable_client,
)
from portal.core.access import SCOPES, operator_actor
from portal.core.crypto import digest
from portal.core.database import db, transaction
from portal.core.errors import Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import actor_named, make_account
from tests.visitor import SeenPage, Visitor


def make(visitor: Visitor, **fields: Any) -> SeenPage:
    """Fill the form of a new client."""
    given = {"name": "gateway-eu", "scopes": ["keys:verify", "logs:write"], **fields}
    return visitor.send(visitor.get("/admin/clients/new"), given)


def clients() -> list[ServiceClient]:
    """All that are stored."""
    return list(db.session.scalars(select(ServiceClient)))


def test_the_token_is_shown_once_and_only_its_digest_is_kept(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    made = make(ada)
    assert made.status == 201
    token = made.code("client-token")
    (stored,) = clients()
    assert stored.digest == digest(token)
    kept = [str(getattr(stored, column.key)) for column in ServiceClient.__table__.columns if column.key != "digest"]
    kept += [f"{entry.facts} {entry.target_name}" for entry in db.session.scalars(select(AuditEntry))]
    assert not any(token[9:] in text for text in kept)
    assert token not in ada.get("/admin/clients").html
    assert stored.hint + "…" in ada.get("/admin/clients").text


def test_the_token_opens_what_its_scopes_name_and_no_more(person: Callable[..., Visitor], app: Doorward) -> None:
    token = make(person("ada"), scopes=["keys:verify"]).code("client-token")
    gate = Machine(app.test_client(), token)
    assert gate.post("/keys/verify", {"key": "dw_nonsense"}).status_code == 200
    assert gate.post("/message-logs", {"username": "alice", "prompt": "Hi"}).status_code == 403
    assert gate.get("/message-logs").status_code == 403


def test_making_one_is_in_the_audit_with_its_scopes(person: Callable[..., Visitor]) -> None:
    make(person("ada"))
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "client.created")).one()
    assert (entry.actor_name, entry.target_name) == ("ada", "gateway-eu")
    assert entry.facts == {"name": "gateway-eu", "scopes": ["keys:verify", "logs:write"]}


@pytest.mark.parametrize(
    "fields",
    [{"scopes": ["keys:verify", "all:everything"]}, {"scopes": []}, {"name": "   "}, {"name": "a\u202eb"},
     {"name": "x" * 81}],
    ids=["unknown scope", "no scope", "no name", "hidden character", "long name"],
)  # fmt: skip
def test_nonsense_is_refused_and_nothing_is_made(person: Callable[..., Visitor], fields: dict[str, Any]) -> None:
    assert make(person("ada"), **fields).status == 422
    assert clients() == []


def test_the_verb_itself_refuses_an_unknown_scope(app: Doorward) -> None:
    make_account("ada")
    for scopes in ([], ["all:everything"], [*SCOPES, "x"]):
        with pytest.raises(Invalid):
            create_client(actor_named("ada"), name="gate", scopes=scopes)


def test_a_name_stands_for_one_client(person: Callable[..., Visitor]) -> None:
    ada = person("ada")
    make(ada)
    again = make(ada)
    assert again.status == 422
    assert "Another client has this name" in again.text
    assert len(clients()) == 1


def test_nobody_grants_the_reading_of_content_without_holding_it(person: Callable[..., Visitor]) -> None:
    clerk = person("cleo", permissions=["clients.manage"])
    refused = make(clerk, scopes=["logs:content"])
    assert refused.status in {403, 422}
    assert "cannot grant what you do not hold" in refused.text
    assert clients() == []
    reader = person("cora", permissions=["clients.manage", "logs.content"])
    assert make(reader, scopes=["logs:content"]).status == 201


@pytest.mark.parametrize(
    ("scope", "permissions"),
    [
        ("users:read", ["users.read"]),
        ("users:write", ["users.write", "users.delete"]),  # every method but GET, so DELETE too
        ("plans:write", ["plans.write"]),
        ("credits:write", ["credits.write"]),
        ("audit:read", ["audit.read"]),
    ],
)
def test_a_client_gets_no_right_of_people_that_its_maker_lacks(
    app: Doorward, scope: str, permissions: list[str]
) -> None:
    make_account("cleo", permissions=["clients.manage", *permissions[:-1]])
    make_account("cora", permissions=["clients.manage", *permissions])
    with pytest.raises(Forbidden):
        create_client(actor_named("cleo"), name="gate", scopes=["keys:verify", scope])
    with transaction():
        create_client(actor_named("cora"), name="gate", scopes=["keys:verify", scope])
    assert len(clients()) == 1


def test_who_may_not_manage_clients_makes_none(app: Doorward, person: Callable[..., Visitor]) -> None:
    assert person("max").get("/admin/clients/new").status == 403
    make_account("tara")
    for name in ("max", "tara"):
        with pytest.raises(Forbidden):
            create_client(actor_named(name), name="gate", scopes=["keys:verify"])


def test_a_disabled_client_is_dead_at_once_and_for_good(person: Callable[..., Visitor], app: Doorward) -> None:
    ada = person("ada")
    gate = Machine(app.test_client(), make(ada).code("client-token"))
    assert gate.post("/keys/verify", {"key": "dw_nonsense"}).status_code == 200
    (stored,) = clients()
    page = ada.send(ada.get("/admin/clients"), to=f"/admin/clients/{stored.id}/disable")
    assert "its token is refused from now on" in page.text
    assert gate.post("/keys/verify", {"key": "dw_nonsense"}).status_code == 401
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "client.disabled")).all()
    assert [entry.target_id for entry in entries] == [stored.id]


def test_a_token_is_known_whole_or_not_at_all(app: Doorward) -> None:
    make_account("ada")
    with transaction():
        client, token = create_client(actor_named("ada"), name="gate", scopes=["keys:verify"])
    known = client_of_token(token)
    assert known is not None
    assert (known.id, known.name, list(known.scopes)) == (client.id, client.name, client.scopes)
    for wrong in ("", "dwc_", token[:-1], token + "x", token.upper(), token.removeprefix("dwc_"), client.hint):
        assert client_of_token(wrong) is None


def test_only_so_many_clients_are_remembered(machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_KEPT", 2)
    service._kept.clear()
    tokens = [machine("keys:verify", name=name).token or "" for name in ("one", "two", "three")]
    assert [client_of_token(token) is not None for token in tokens] == [True] * 3
    assert [service.kept_client(token) is not None for token in tokens] == [False, False, True]
    assert client_of_token(tokens[0]) is not None


def test_what_does_not_begin_like_a_token_is_none(app: Doorward) -> None:
    assert client_of_token("dw_nonsense") is None


def test_a_rate_is_changed_within_bounds_and_the_same_one_is_no_change(app: Doorward) -> None:
    with transaction():
        made, _ = create_client(operator_actor(), name="gate", scopes=["keys:verify"], rate_per_minute=7)
    for wrong in (0, -1, service.MOST_RATE + 1):
        with pytest.raises(Invalid):
            change_rate(operator_actor(), made.id, wrong)
    for rate in (7, 9, 9, None):
        with transaction():
            assert change_rate(operator_actor(), made.id, rate).rate_per_minute == rate
    told = db.session.scalars(select(AuditEntry).where(AuditEntry.event == events.CLIENT_RATE_CHANGED.name)).all()
    assert [(entry.facts["from"], entry.facts["to"]) for entry in told] == [(None, 7), (7, 9), (9, None)]


def test_a_client_that_is_not_there_is_not_found_and_one_that_is_disabled_stays_so(app: Doorward) -> None:
    with pytest.raises(NotFound):
        client_record(operator_actor(), new_id())
    with transaction():
        made, _ = create_client(operator_actor(), name="gate", scopes=["keys:verify"])
    ends = []
    for _ in range(2):
        with transaction():
            ends.append(disable_client(operator_actor(), made.id).disabled_at)
    assert ends[0] is not None and ends[0] == ends[1]
    assert client_of_id(made.id) is None
