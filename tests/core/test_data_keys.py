"""Data keys: one for each user whoever asks first, wrapped by the newest key, gone for good when destroyed."""

from __future__ import annotations

from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import func, select, update

from portal.core import crypto, envelopes, hot, settings
from portal.core.crypto import BadSeal
from portal.core.data_keys import (
    DataKey,
    KeyCheck,
    check_encryption_keys,
    destroy_data_key,
    find_data_key,
    former_keys,
    held_keys,
    is_destroyed,
    kept_check,
    make_data_key,
    missing_keys,
    rewrap_keys,
    seal_check,
)
from portal.core.database import db, transaction
from portal.core.hot import Lane
from portal.core.ids import new_id
from portal.core.settings import BadSetting, Settings
from portal.web.frame import Doorward
from tests.people import make_account
from tests.races import race

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def under(app: Flask, *keys: str) -> None:
    """Go on under these keys."""
    known: Settings = settings.current()
    settings.leave()
    settings.enter(known.model_copy(update={"encryption_keys": list(keys)}))


def keys_kept() -> int:
    """How many there are."""
    return db.session.scalar(select(func.count()).select_from(DataKey)) or 0


def test_a_key_is_made_at_the_first_need_and_is_always_the_same(app: Doorward) -> None:
    alice, bob = make_account("alice").id, make_account("bob").id
    with pytest.raises(BadSeal):
        find_data_key(alice)
    made = make_data_key(alice)
    assert len(made) == 32 and made == make_data_key(alice) == find_data_key(alice)
    assert made != make_data_key(bob)
    row = db.session.scalars(select(DataKey).where(DataKey.user_id == alice)).one()
    assert made not in row.wrapped and row.wrapped_by == envelopes.newest_id()


def test_many_who_make_the_first_key_at_once_get_the_same(app: Doorward) -> None:
    for number in range(5):
        user = make_account(f"user-{number}").id

        def make(place: int, user: UUID = user) -> bytes:
            with app.app_context():
                if place % 3:
                    return make_data_key(user)
                with transaction():  # as the flush does, in the transaction of its rows
                    db.session.execute(update(KeyCheck).values(name="encryption"))
                    return make_data_key(user)

        assert len(set(race(12, make))) == 1
        assert find_data_key(user) == make_data_key(user)
    assert keys_kept() == 5


def test_a_key_made_in_a_transaction_goes_with_it(app: Doorward) -> None:
    alice = make_account("alice").id
    with pytest.raises(ZeroDivisionError), transaction():
        db.session.execute(update(KeyCheck).values(name="encryption"))  # begins it
        with held_keys():
            assert make_data_key(alice) == find_data_key(alice)
        raise ZeroDivisionError
    assert keys_kept() == 0
    with pytest.raises(BadSeal):
        find_data_key(alice)


def test_a_key_made_outside_one_stays_whatever_comes_after(app: Doorward) -> None:
    alice = make_account("alice").id
    with pytest.raises(ZeroDivisionError), transaction():
        made = make_data_key(alice)
        raise ZeroDivisionError
    assert find_data_key(alice) == made


def test_a_key_is_made_on_the_lane_without_a_session(app: Doorward, settings: Settings) -> None:
    alice, lane = make_account("alice").id, Lane(hot.connections())
    entered = hot.enter_hot(lane)
    try:
        made = make_data_key(alice)
    finally:
        hot.leave_hot(entered)
    assert find_data_key(alice) == made


def test_a_stranger_gets_no_key(app: Doorward) -> None:
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        make_data_key(new_id())
    assert keys_kept() == 0


def test_a_destroyed_key_is_empty_and_is_not_made_again(app: Doorward) -> None:
    alice, bob = make_account("alice").id, make_account("bob").id
    make_data_key(alice)
    with transaction():
        destroy_data_key(alice)
        destroy_data_key(bob)
        destroy_data_key(bob)
    for user in (alice, bob):
        row = db.session.scalars(select(DataKey).where(DataKey.user_id == user)).one()
        assert (row.wrapped, row.wrapped_by) == (b"", "") and row.destroyed_at is not None and is_destroyed(user)
        for ask in (find_data_key, make_data_key):
            with pytest.raises(BadSeal):
                ask(user)
            with held_keys([user]), pytest.raises(BadSeal):
                ask(user)


def test_held_keys_are_read_once_and_forgotten_after(app: Doorward) -> None:
    alice = make_account("alice").id
    made = make_data_key(alice)
    with held_keys([alice, new_id()]):
        with transaction():
            db.session.execute(update(DataKey).values(wrapped=b"", wrapped_by=""))
        assert find_data_key(alice) == make_data_key(alice) == made
        with transaction():
            destroy_data_key(alice)
        with pytest.raises(BadSeal):
            find_data_key(alice)
    with pytest.raises(BadSeal):
        find_data_key(alice)


def test_a_wrapped_key_is_bound_to_its_user(app: Doorward) -> None:
    alice, bob = make_account("alice").id, make_account("bob").id
    make_data_key(alice)
    make_data_key(bob)
    rows = {row.user_id: row.wrapped for row in db.session.scalars(select(DataKey))}
    with transaction():
        db.session.execute(update(DataKey).where(DataKey.user_id == alice).values(wrapped=rows[bob]))
    with pytest.raises(BadSeal):
        find_data_key(alice)
    with held_keys([alice, bob]), pytest.raises(BadSeal):
        find_data_key(alice)


def test_keys_are_wrapped_anew_some_at_a_time(app: Doorward) -> None:
    under(app, OLD)
    users = sorted(make_account(f"user-{number}").id for number in range(5))
    before = [make_data_key(user) for user in users]
    with transaction():
        destroy_data_key(users[0])
    under(app, NEW, OLD)
    last, done = None, []
    while True:
        with transaction():
            last, wrapped, lost = rewrap_keys(last, 2)
        assert lost == 0
        if last is None:
            break
        done.append(wrapped)
    assert done == [2, 2]
    under(app, NEW)
    assert [find_data_key(user) for user in users[1:]] == before[1:]
    assert missing_keys() == 0


def test_what_cannot_be_opened_is_left_as_it_is(app: Doorward) -> None:
    under(app, OLD)
    alice = make_account("alice").id
    made = make_data_key(alice)
    under(app, NEW)
    with transaction():
        assert rewrap_keys(None, 10) == (alice, 0, 1)
    assert missing_keys() == 1
    with pytest.raises(BadSeal):
        make_data_key(alice)
    under(app, OLD)
    assert find_data_key(alice) == made


def test_other_keys_are_refused_by_name_before_they_seal_anything(app: Doorward) -> None:
    under(app, OLD)
    with transaction():
        check_encryption_keys()
        check_encryption_keys()
    make_data_key(make_account("alice").id)
    under(app, NEW)
    with pytest.raises(BadSetting, match=r"^ENCRYPTION_KEYS: did not seal.*secrets\.json"), transaction():
        check_encryption_keys()
    settings.enter(settings.current().model_copy(update={"portal_env": "production"}))
    with pytest.raises(BadSetting, match=r"^ENCRYPTION_KEYS: did not seal (?!.*secrets\.json)"), transaction():
        check_encryption_keys()
    settings.leave()
    under(app, NEW, OLD)
    check_encryption_keys()


def test_a_key_that_is_still_needed_is_missed_by_name(app: Doorward) -> None:
    under(app, OLD)
    make_data_key(make_account("alice").id)
    under(app, NEW)
    with pytest.raises(BadSetting, match=r"^ENCRYPTION_KEYS: 1 data keys"), transaction():
        check_encryption_keys()
    under(app, NEW, OLD)
    with transaction():
        check_encryption_keys()


def test_a_check_that_was_tampered_with_is_refused(app: Doorward) -> None:
    with transaction():
        check_encryption_keys()
        db.session.execute(update(KeyCheck).values(sealed=crypto.seal({"says": "doorward"}, place="elsewhere")))
    with pytest.raises(BadSetting, match="ENCRYPTION_KEYS"):
        check_encryption_keys()


def test_a_look_leaves_nothing(app: Doorward) -> None:
    check_encryption_keys(leave=False)
    assert db.session.scalar(select(func.count()).select_from(KeyCheck)) == 0


def test_former_keys_are_counted_until_all_are_wrapped_anew(app: Doorward) -> None:
    under(app, OLD)
    users = [make_account(f"user-{number}").id for number in range(3)]
    for user in users:
        make_data_key(user)
    with transaction():
        destroy_data_key(users[0])
    assert former_keys() == 0
    under(app, NEW, OLD)
    assert (former_keys(), missing_keys()) == (2, 0)
    with transaction():
        rewrap_keys(None, 10)
    assert former_keys() == 0
    under(app, NEW)
    assert missing_keys() == 0


def test_the_known_value_follows_the_newest_key(app: Doorward) -> None:
    under(app, OLD)
    with transaction():
        check_encryption_keys()
    under(app, NEW, OLD)
    with transaction():
        seal_check()
    assert crypto.is_newest(kept_check() or "")
    under(app, NEW)
    check_encryption_keys()
