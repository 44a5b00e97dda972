"""A user's own keys: shown once, kept as a digest, as many as the plan allows, dead when revoked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.accounts.models import User
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import operator_actor
from portal.core.crypto import digest
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from portal.keys.models import ApiKey
from portal.keys.service import (
    change_key,
    create_key,
    keys_of,
    own_key,
    own_keys,
    own_keys_page,
    revoke_all_keys,
    revoke_key,
)
from portal.keys.terms import KeyTerms, terms_of
from portal.usage.plans import PlanTerms, create_plan
from portal.web.frame import Doorward
from tests.people import actor_named, make_account
from tests.races import race

MANY = pytest.mark.parametrize("setting", [{"threads": 16, "db_timeout_s": 30}])


def make(name: str = "laptop", owner: str = "alice") -> tuple[ApiKey, str]:
    """The owner makes a key."""
    with transaction():
        made = create_key(actor_named(owner), name=name)
    return made.key, made.secret


def allow(most: int) -> None:
    """Let Alice have so many keys."""
    with transaction():
        plan = create_plan(operator_actor(), PlanTerms("own", 100, key_count=most))
        db.session.flush()
        db.session.scalars(select(User).where(User.username == "alice")).one().plan_id = plan.id


@pytest.fixture(autouse=True)
def people(app: Doorward) -> None:
    """Alice and Bob."""
    make_account("alice")
    make_account("bob")


def test_only_the_digest_of_a_key_is_kept() -> None:
    key, secret = make()
    stored = db.session.scalars(select(ApiKey)).one()
    assert stored.digest == digest(secret)
    assert secret.startswith(stored.prefix) and len(stored.prefix) == 10
    kept = [str(getattr(stored, column.key)) for column in ApiKey.__table__.columns if column.key != "digest"]
    kept += [f"{entry.facts} {entry.target_name}" for entry in db.session.scalars(select(AuditEntry))]
    assert not any(secret[10:] in text for text in kept)
    assert key.id == stored.id


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\u202eb", "a\0b", "a\nb"])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        make(name)
    assert db.session.scalars(select(ApiKey)).all() == []


def test_the_plan_says_how_many_and_a_revoked_one_makes_room() -> None:
    first, _ = make("0")
    for number in range(1, 5):
        make(str(number))
    with pytest.raises(Conflict, match="5 keys"):
        make("one too many")
    with transaction():
        revoke_key(actor_named("alice"), first.id)
    make("another")


@MANY
def test_many_at_once_do_not_pass_the_plans_number(app: Doorward) -> None:
    allow(3)

    def work(number: int) -> bool:
        with app.app_context():
            try:
                make(str(number))
            except Conflict:
                return False
            return True

    assert sum(race(8, work)) == 3
    assert len(own_keys(actor_named("alice"))) == 3


def test_another_persons_key_is_not_found() -> None:
    key, _ = make()
    bob = actor_named("bob")
    for act in (own_key, revoke_key, lambda actor, key_id: change_key(actor, key_id, KeyTerms("mine"))):
        with pytest.raises(NotFound):
            act(bob, key.id)
    assert (own_keys(bob), key.revoked_at, key.name) == ([], None, "laptop")


def test_revoking_twice_is_as_good_as_once() -> None:
    key, _ = make()
    alice = actor_named("alice")
    with transaction():
        first = revoke_key(alice, key.id).revoked_at
    with transaction():
        assert revoke_key(alice, key.id).revoked_at == first
    events = db.session.scalars(select(AuditEntry.event).where(AuditEntry.event == "key.revoked")).all()
    assert len(events) == 1


def test_a_change_at_the_same_moment_does_not_keep_a_key_alive(app: Doorward) -> None:
    key, _ = make()
    assert own_key(actor_named("alice"), key.id).version == 1

    def work(_number: int) -> None:
        with app.app_context(), transaction():
            change_key(actor_named("alice"), key.id, KeyTerms("changed"))

    race(1, work)
    assert key.version == 1, "read before the change"
    with transaction():
        revoke_key(actor_named("alice"), key.id)
    assert (key.state, key.name, key.version) == ("revoked", "changed", 3)


def test_living_keys_come_first_and_the_desk_sees_the_same() -> None:
    old, _ = make("old")
    make("new")
    with transaction():
        revoke_key(actor_named("alice"), old.id)
    make_account("tess")
    tess, alice = actor_named("tess"), actor_named("alice")
    assert [key.name for key in own_keys(alice)] == ["new", "old"] == [key.name for key in keys_of(tess, old.user_id)]


def test_staff_make_no_keys_and_revoke_none() -> None:
    key, _ = make()
    make_account("tess")
    for act in (
        lambda: create_key(actor_named("tess"), name="mine"),
        lambda: revoke_all_keys(actor_named("tess"), key.user_id),
    ):
        with pytest.raises(Forbidden):
            act()


def test_all_keys_of_a_user_can_be_ended(key_of: Callable[..., str]) -> None:
    key, _ = make()
    make("second")
    make("bobs", "bob")
    with transaction():
        assert revoke_all_keys(operator_actor(), key.user_id) == 2
    assert [one.revoked_at is None for one in own_keys(actor_named("bob"))] == [True]


def test_more_than_a_list_shows_are_ended_too(app: Doorward) -> None:
    allow(1000)
    with transaction():
        keys = [create_key(actor_named("alice"), name=str(number)).key for number in range(203)]
    with transaction():
        assert revoke_all_keys(operator_actor(), keys[0].user_id) == 203
    assert {(key.state, key.revoked_why) for key in db.session.scalars(select(ApiKey))} == {("revoked", "deleted")}


def test_an_expired_key_makes_room_and_comes_last(app: Doorward) -> None:
    with transaction():
        short = create_key(actor_named("alice"), name="short", expires_at=clock.now() + timedelta(hours=1)).key
    for number in range(4):
        make(str(number))
    with pytest.raises(Conflict):
        make("one too many")
    clock.shift(timedelta(hours=1))
    make("another")
    assert short.state == "expired"
    alice = actor_named("alice")
    assert own_keys(alice)[-1].id == short.id
    assert [key.id for key in own_keys_page(alice, ended=True).items] == [short.id]
    assert len(own_keys_page(alice, ended=False).items) == 5
    assert len(own_keys_page(alice).items) == 6


TERMS = KeyTerms("laptop", ("chat",), None, ("192.0.2.0/24",), 10)


def test_terms_are_changed_and_the_entry_says_from_what_to_what(app: Doorward) -> None:
    key, _ = make()
    with transaction():
        change_key(actor_named("alice"), key.id, TERMS, version=1)
    assert (terms_of(key), key.version) == (TERMS, 2)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "key.changed")).one()
    assert entry.facts == {"changed": ["scopes: any → chat", "networks: any → 192.0.2.0/24", "daily_limit: none → 10"]}


def test_nothing_changed_is_nothing_done(app: Doorward) -> None:
    key, _ = make()
    with transaction():
        change_key(actor_named("alice"), key.id, terms_of(key), version=1)
    assert key.version == 1
    assert db.session.scalars(select(AuditEntry).where(AuditEntry.event == "key.changed")).all() == []


def test_a_change_of_what_somebody_else_changed_is_refused(app: Doorward) -> None:
    key, _ = make()
    with transaction():
        change_key(actor_named("alice"), key.id, KeyTerms("first"), version=1)
    with pytest.raises(Stale), transaction():
        change_key(actor_named("alice"), key.id, KeyTerms("second"), version=1)
    assert key.name == "first"
    with transaction():
        change_key(actor_named("alice"), key.id, KeyTerms("third"))
    assert key.name == "third"


def test_a_key_that_has_ended_is_not_changed_back_to_life(app: Doorward) -> None:
    with transaction():
        short = create_key(actor_named("alice"), name="short", expires_at=clock.now() + timedelta(hours=1)).key
    revoked, _ = make()
    with transaction():
        revoke_key(actor_named("alice"), revoked.id)
    clock.shift(timedelta(hours=1))
    for key in (short, revoked):
        with pytest.raises(Conflict, match="has ended"), transaction():
            change_key(actor_named("alice"), key.id, KeyTerms("again"))


def test_a_bad_change_changes_nothing(app: Doorward) -> None:
    key, _ = make()
    with pytest.raises(Invalid) as caught, transaction():
        change_key(actor_named("alice"), key.id, KeyTerms("fine", ("Not A Scope",), None, ("nonsense",), -1))
    assert set(caught.value.fields) == {"scopes", "networks", "daily_limit"}
    assert terms_of(key) == KeyTerms("laptop")
