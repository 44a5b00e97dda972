"""Keys of others: by whoever may, by the same rules; the owner hears of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portal.core.access import of_scopes, operator_actor
from portal.core.actor import Actor, ActorKind
from portal.core.database import transaction
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from portal.core.ids import new_id
from portal.keys.managing import change_key_of, create_key_for, key_named, revoke_key_of, rotate_key_of
from portal.keys.models import ApiKey
from portal.keys.service import create_key, keys_of, own_keys
from portal.keys.terms import KeyTerms
from portal.privacy.deletion import delete_user
from portal.web.frame import Doorward
from tests.keys.letters import letters
from tests.people import actor_named, make_account

TERMS = KeyTerms("nightly", ("chat",), None, ("192.0.2.0/24",), 9)


@pytest.fixture(autouse=True)
def people(app: Doorward) -> None:
    """Alice, a user; Ada, a full admin; Max, an admin who may nothing; Tess at the desk; Rita who only reads."""
    for name in ("alice", "ada", "max", "tess"):
        make_account(name)
    make_account("rita", permissions=["users.read"])


def make(actor: Actor | None = None) -> ApiKey:
    """Somebody makes a key for Alice."""
    with transaction():
        return create_key_for(actor or operator_actor(), actor_named("alice").id or new_id(), TERMS).key


@pytest.mark.parametrize("who", ["operator", "ada"])
def test_whoever_may_makes_replaces_and_revokes(who: str) -> None:
    actor = operator_actor() if who == "operator" else actor_named(who).because("asked for")
    key = make(actor)
    assert (key.scopes, key.daily_limit) == (["chat"], 9)
    with transaction():
        new = rotate_key_of(actor, key.user_id, key.id, overlap_s=3600).key
        first = revoke_key_of(actor, key.user_id, new.id).revoked_at
    with transaction():
        assert revoke_key_of(actor, key.user_id, new.id).revoked_at == first
    assert (new.state, new.revoked_why, key.state) == ("revoked", "service", "replaced")
    acts = [letter["values"]["act"] for letter in letters("key_notice")]
    assert acts == ["made", "rotated", "revoked"]
    assert all(f"done by {who}" in letter["text"] for letter in letters("key_notice"))


@pytest.mark.parametrize("who", ["max", "tess", "rita", "alice"])
def test_nobody_else_does(who: str) -> None:
    key, actor = make(), actor_named(who)
    acts: list[Callable[[], object]] = [
        lambda: make(actor),
        lambda: change_key_of(actor, key.user_id, key.id, KeyTerms("mine")),
        lambda: rotate_key_of(actor, key.user_id, key.id, overlap_s=0),
        lambda: revoke_key_of(actor, key.user_id, key.id),
    ]
    for act in acts:
        with pytest.raises(Forbidden), transaction():
            act()
    assert key.state == "active"


def test_a_client_needs_the_scope_for_keys() -> None:
    """It has no rank, so a scope for users alone lets it at nobody's keys."""
    user_id = make().user_id

    def client(*scopes: str) -> Actor:
        return Actor(ActorKind.CLIENT, "gate", new_id(), of_scopes(scopes))

    with pytest.raises(Forbidden), transaction():
        create_key_for(client("users:write"), user_id, TERMS)
    with transaction():
        assert create_key_for(client("keys:write"), user_id, TERMS).key.user_id == user_id


def test_the_rules_are_those_of_the_owner() -> None:
    keys = [make() for _ in range(5)]
    with pytest.raises(Conflict):
        make()
    with pytest.raises(Invalid), transaction():
        create_key_for(operator_actor(), keys[0].user_id, KeyTerms("x", ("A",)))
    with pytest.raises(Invalid), transaction():
        change_key_of(operator_actor(), keys[0].user_id, keys[0].id, KeyTerms("x", ("A",)))


def test_terms_are_changed_and_a_change_of_an_older_version_is_refused() -> None:
    key, actor = make(), actor_named("ada")
    with transaction():
        change_key_of(actor, key.user_id, key.id, KeyTerms("daily", daily_limit=3), version=1)
    assert (key.name, key.scopes, key.daily_limit) == ("daily", [], 3)
    assert [letter["values"]["act"] for letter in letters("key_notice")] == ["made", "changed"]
    with pytest.raises(Stale), transaction():
        change_key_of(actor, key.user_id, key.id, TERMS, version=1)


def test_a_key_is_found_under_its_own_user_only() -> None:
    key, bob = make(), make_account("bob")
    for act in (
        lambda: revoke_key_of(operator_actor(), bob.id, key.id),
        lambda: change_key_of(operator_actor(), bob.id, key.id, TERMS),
        lambda: rotate_key_of(operator_actor(), bob.id, key.id, overlap_s=0),
        lambda: create_key_for(operator_actor(), actor_named("ada").id or key.id, TERMS),
        lambda: revoke_key_of(operator_actor(), key.user_id, new_id()),
    ):
        with pytest.raises(NotFound), transaction():
            act()


def test_a_deleted_user_gets_no_key() -> None:
    bob = make_account("bob")
    with transaction():
        delete_user(operator_actor().because("a test"), bob.id, typed_name="bob")
    with pytest.raises(NotFound):
        create_key_for(operator_actor(), bob.id, TERMS)


def test_a_key_is_found_by_its_id_and_by_how_it_begins() -> None:
    key = make()
    assert key_named(operator_actor(), str(key.id)).id == key.id == key_named(operator_actor(), key.prefix).id
    twin = make()
    with transaction():
        twin.prefix = key.prefix
    with pytest.raises(Conflict):
        key_named(operator_actor(), key.prefix)
    with pytest.raises(NotFound):
        key_named(operator_actor(), "dw_nothing")
    with pytest.raises(Forbidden):
        key_named(actor_named("max"), key.prefix)


def test_the_owners_own_acts_are_told_too_but_no_new_name_alone() -> None:
    with transaction():
        create_key(actor_named("alice"), name="mine")
    (letter,) = letters("key_notice")
    assert "Was it not you?" in letter["text"]
    assert "done by" not in letter["text"] + letter["html"]


def test_who_may_see_the_keys_of_others() -> None:
    key = make()
    assert [one.id for one in keys_of(actor_named("tess"), key.user_id)] == [key.id]
    with pytest.raises(Forbidden):
        keys_of(actor_named("max"), key.user_id)
    assert [one.id for one in own_keys(actor_named("alice"))] == [key.id]
