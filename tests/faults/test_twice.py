"""Done twice, or to what is not there: as good as once, or not found; and a preflight needs no credential."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from portal.audit.models import AuditEntry
from portal.clients.service import create_client, disable_client
from portal.core import clock
from portal.core.access import EVERYTHING, operator_actor
from portal.core.actor import Actor, ActorKind
from portal.core.database import db, transaction
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.keys.service import create_key, revoke_key
from portal.signin.sessions import begin_session, own_sessions, session_of, sign_out
from portal.web.frame import Doorward
from tests.conftest import Machine
from tests.people import actor_named, make_account


def entries(event: str) -> int:
    """How many audit entries of this event there are."""
    return db.session.scalar(select(func.count()).select_from(AuditEntry).where(AuditEntry.event == event)) or 0


def test_a_client_is_disabled_once(app: Doorward) -> None:
    with transaction():
        client, _ = create_client(operator_actor(), name="gate", scopes=["keys:verify"])
        first = disable_client(operator_actor(), client.id).disabled_at
        assert disable_client(operator_actor(), client.id).disabled_at == first
    assert entries("client.disabled") == 1
    with pytest.raises(NotFound):
        disable_client(operator_actor(), new_id())


def test_a_key_is_revoked_once(app: Doorward) -> None:
    make_account("alice")
    alice = actor_named("alice")
    with transaction():
        key = create_key(alice, name="one").key
        revoke_key(alice, key.id)
        revoke_key(alice, key.id)
    assert entries("key.revoked") == 1


def test_a_session_ends_once(app: Doorward) -> None:
    account = make_account("alice")
    alice = actor_named("alice")
    with transaction():
        secret = begin_session(account, address=None, device="")
    with transaction():
        sign_out(alice, secret)
        sign_out(alice, secret)
    assert session_of(secret) is None
    assert session_of("made up") is None
    assert entries("sign_in.ended") == 1


def test_who_is_no_account_has_no_sessions_and_no_keys(app: Doorward) -> None:
    ghost = Actor(ActorKind.USER, "ghost", id=new_id(), capabilities=EVERYTHING, entered_at=clock.now())
    with pytest.raises(NotFound):
        own_sessions(ghost)
    with pytest.raises(NotFound):
        create_key(ghost, name="x")


def test_options_are_told_without_a_credential(machine: Callable[..., Machine]) -> None:
    answer = machine().client.options("/api/v1/keys/verify")
    assert answer.status_code == 200
    assert "POST" in answer.headers["Allow"]
