"""Replacing a key: a new one with the same terms, and an old one that goes on for as long as was said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db, transaction
from portal.core.errors import Conflict, Invalid, NotFound
from portal.keys.models import ApiKey, KeyUse
from portal.keys.rotation import predecessor, rotate_key, uses_of
from portal.keys.service import NewKey, change_key, create_key, own_keys, revoke_key
from portal.keys.terms import KeyTerms, terms_of
from portal.web.frame import Doorward
from tests.keys.letters import letters
from tests.people import actor_named, make_account
from tests.races import race

HOUR, DAY = 3600, 86400
MANY = pytest.mark.parametrize("setting", [{"threads": 16, "db_timeout_s": 30}])


@pytest.fixture(autouse=True)
def people(app: Doorward) -> None:
    """Alice and Bob."""
    make_account("alice")
    make_account("bob")


def make(**terms: object) -> ApiKey:
    """Alice makes a key."""
    with transaction():
        return create_key(actor_named("alice"), name="laptop", **terms).key  # type: ignore[arg-type]  # terms of the test


def rotate(key: ApiKey, overlap_s: int = HOUR, who: str = "alice") -> NewKey:
    """Somebody replaces a key."""
    with transaction():
        return rotate_key(actor_named(who), key.id, overlap_s=overlap_s)


def test_the_new_key_has_the_terms_of_the_old_one() -> None:
    ends = clock.now() + timedelta(days=90)
    old = make(scopes=["chat"], networks=["192.0.2.0/24"], daily_limit=5, expires_at=ends)
    made = rotate(old)
    assert terms_of(made.key) == KeyTerms("laptop", ("chat",), ends, ("192.0.2.0/24",), 5)
    assert (made.key.id != old.id, made.key.digest != old.digest, made.key.state) == (True, True, "active")


def test_the_old_key_goes_on_for_the_overlap() -> None:
    old = make()
    made = rotate(old, HOUR)
    assert (old.state, old.replaced_by) == ("replaced", made.key.id)
    assert old.expires_at is not None
    assert abs(old.expires_at - made.key.created_at - timedelta(hours=1)) < timedelta(seconds=1)
    clock.shift(timedelta(hours=1, seconds=1))
    assert old.state == "expired"


def test_the_old_key_never_lasts_longer_than_it_would_have() -> None:
    ends = clock.now() + timedelta(minutes=5)
    old = make(expires_at=ends)
    rotate(old, DAY)
    assert old.expires_at == ends


def test_without_overlap_the_old_key_is_revoked_at_once() -> None:
    old = make()
    rotate(old, 0)
    assert (old.state, old.revoked_why) == ("revoked", "replaced")


@pytest.mark.parametrize("overlap_s", [-1, 30 * DAY + 1, 2**63])
def test_an_overlap_out_of_bounds_changes_nothing(overlap_s: int) -> None:
    old = make()
    with pytest.raises(Invalid) as caught:
        rotate(old, overlap_s)
    assert set(caught.value.fields) == {"overlap_s"}
    assert [key.id for key in own_keys(actor_named("alice"))] == [old.id]
    assert old.state == "active"


def test_a_key_is_replaced_once_and_a_dead_one_never() -> None:
    replaced, revoked, short = make(), make(), make(expires_at=clock.now() + timedelta(minutes=1))
    rotate(replaced)
    with transaction():
        revoke_key(actor_named("alice"), revoked.id)
    clock.shift(timedelta(minutes=1))
    for key in (replaced, revoked, short):
        with pytest.raises(Conflict):
            rotate(key)


def test_a_replaced_key_is_changed_no_more_but_can_be_ended_early() -> None:
    old = make()
    rotate(old, DAY)
    with pytest.raises(Conflict, match="replaced"), transaction():
        change_key(actor_named("alice"), old.id, KeyTerms("longer", expires_at=clock.now() + timedelta(days=900)))
    with transaction():
        revoke_key(actor_named("alice"), old.id)
    assert (old.state, old.revoked_why) == ("revoked", "owner")


def test_a_replaced_key_does_not_count_but_there_are_not_endlessly_many() -> None:
    keys = [make() for _ in range(5)]
    for at, key in enumerate(keys):
        keys[at] = rotate(key, DAY).key
    with pytest.raises(Conflict, match="5 keys"):
        make()
    with pytest.raises(Conflict, match="5 replaced keys"):
        rotate(keys[0], DAY)
    assert rotate(keys[0], 0).key.state == "active"


def test_another_persons_key_is_not_found() -> None:
    old = make()
    bob = actor_named("bob")
    for act in (lambda: rotate(old, who="bob"), lambda: uses_of(bob, old.id), lambda: predecessor(bob, old.id)):
        with pytest.raises(NotFound):
            act()
    assert old.state == "active"


def test_who_still_calls_is_seen_by_the_owner_the_latest_first() -> None:
    old = make()
    new = rotate(old, DAY).key
    now = clock.now()
    with transaction():
        for minutes, client in ((5, "gate"), (1, "nightly")):
            at = now - timedelta(minutes=minutes)
            db.session.add(
                KeyUse(key_id=old.id, client_name=client, address="192.0.2.7", count=3, first_at=now, last_at=at)
            )
    alice = actor_named("alice")
    assert [use.client_name for use in uses_of(alice, old.id)] == ["nightly", "gate"]
    assert uses_of(alice, new.id) == []
    found = predecessor(alice, new.id)
    assert found is not None
    assert found.id == old.id
    clock.shift(timedelta(days=1, seconds=1))
    assert predecessor(alice, new.id) is None


def test_the_owner_is_told_and_the_log_says_which_took_its_place() -> None:
    old = make()
    new = rotate(old, DAY).key
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "key.rotated")).one()
    assert entry.target_id == old.id
    assert entry.facts["by_prefix"] == new.prefix
    told = letters("key_notice")[-1]
    assert told["subject"].startswith("An API key was replaced")
    assert new.prefix in told["text"]
    assert f"/account/keys/{new.id}" in told["html"]


@MANY
def test_of_many_who_replace_a_key_at_once_one_does(app: Doorward) -> None:
    old = make()

    def work(_number: int) -> bool:
        with app.app_context():
            try:
                rotate(old_key := db.session.get_one(ApiKey, old.id), HOUR)
            except Conflict:
                return False
            return old_key.replaced_by is not None

    assert sum(race(8, work)) == 1
    db.session.expire_all()
    assert len(own_keys(actor_named("alice"))) == 2
