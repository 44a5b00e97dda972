"""Of whom a record is: named by id, name or address, and somebody who is there."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.models import Account
from portal.core.access import Capability, operator_actor
from portal.core.actor import Actor, ActorKind
from portal.core.database import db, transaction
from portal.core.errors import Forbidden
from portal.messages import intake
from portal.messages.flush import flush
from portal.messages.models import MessageLog
from portal.messages.spool_protocol import Spool
from portal.privacy.deletion import delete_user
from tests.messages.conftest import record
from tests.people import make_account

Push = Callable[..., list[tuple[str, str | None]]]
ACCEPTED = ("accepted", None)


def test_an_unknown_user_is_rejected_by_name_and_the_rest_stands(push: Push, alice: Account) -> None:
    for name in ("ada", "tess"):
        make_account(name)
    nobody = uuid.uuid4()
    strangers = [record(username="carol"), record(username="ada"), record(username="tess"), record(user_id=str(nobody))]
    results = push(record(id="a"), *strangers, record(id="b"))
    assert [status for status, _ in results] == ["accepted", *["rejected"] * 4, "accepted"]
    assert [error for _, error in results[1:-1]] == [
        f"unknown user: {name}" for name in ("carol", "ada", "tess", nobody)
    ]


def test_an_address_that_is_none_is_an_unknown_user(push: Push, alice: Account) -> None:
    for name in ("a@@b", "alice@", "@"):
        assert push(record(username=name)) == [("rejected", f"unknown user: {name}")]


def test_a_user_without_address_is_known_by_name(push: Push) -> None:
    make_account("bob", email=None, email_canonical=None)
    assert push(record(username="bob"), record(username="")) == [
        ACCEPTED,
        ("rejected", "username must be a text of 1 to 320 characters"),
    ]


def test_who_has_no_id_of_its_own_pushes_nothing(app: Flask, alice: Account, spool: Spool) -> None:
    nobody = Actor(ActorKind.OPERATOR, "nobody", capabilities=frozenset({Capability.LOG_WRITE}))
    with pytest.raises(Forbidden):
        intake.push(nobody, [record()])
    assert spool.depth().size == 0


def test_a_user_may_be_named_by_id_name_or_address(push: Push, alice: Account) -> None:
    named: list[dict[str, Any]] = [
        {"user_id": str(alice.id)},
        {"username": "ALICE "},
        {"user": "alice"},
        {"username": "Alice@example.org"},
    ]
    assert push(*({**who, "prompt": "hello"} for who in named)) == [ACCEPTED] * 4
    flush()
    assert set(db.session.scalars(select(MessageLog.user_id))) == {alice.id}


def test_a_deleted_user_is_unknown(push: Push, alice: Account) -> None:
    with transaction():
        delete_user(operator_actor().because("a test"), alice.id, typed_name="alice")
    results = push(record(), {"user_id": str(alice.id), "prompt": "x"}, record(username=f"deleted-{alice.id.hex}"))
    assert [status for status, _ in results] == ["rejected"] * 3


def test_id_and_name_of_two_users_are_rejected(push: Push, alice: Account) -> None:
    make_account("bob")
    ids = {"user_id": str(alice.id)}
    assert (
        push(record(**ids), record(**ids, username="ALICE"), record(**ids, username="Alice@example.org"))
        == [ACCEPTED] * 3
    )
    disagree = ("rejected", "user_id and username are not the same user")
    assert push(record(**ids, username="bob"), record(**ids, username="nobody")) == [disagree] * 2
    nobody = str(uuid.uuid4())
    assert push(record(user_id=nobody)) == [("rejected", f"unknown user: {nobody}")]
