"""Sealing: what is sealed in one place opens there and nowhere else, and never without the key of its user."""

from __future__ import annotations

from itertools import product
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from portal.accounts.models import Account
from portal.core.crypto import BadSeal
from portal.core.data_keys import destroy_data_key, held_keys
from portal.core.database import transaction
from portal.core.ids import new_id
from portal.messages.sealing import (
    open_content,
    open_quarantined,
    open_title,
    open_words,
    seal_content,
    seal_quarantined,
    seal_title,
    seal_words,
    sealing_on,
)
from portal.web.frame import Doorward
from tests.people import make_account

CONTENT = {"messages": [{"role": "user", "content": "a lantern"}], "extra": None}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def users(app: Doorward) -> tuple[Account, Account]:
    """Two who have sealed something."""
    return make_account("alice"), make_account("bob")


def test_what_is_sealed_opens_in_its_place_only(users: tuple[Account, Account]) -> None:
    ids, rows = (users[0].id, users[1].id), (new_id(), new_id())
    seal_title(ids[1], rows[1], "so that both have keys")
    content = seal_content(ids[0], rows[0], CONTENT)
    words = seal_words(ids[0], rows[0], CONTENT)
    title = seal_title(ids[0], rows[0], "a lantern")
    line = seal_quarantined(ids[0], rows[0], "a lantern")
    assert b"lantern" not in content + words.encode() + title + line
    assert open_content(ids[0], rows[0], content) == open_words(ids[0], rows[0], words) == CONTENT
    assert open_title(ids[0], rows[0], title) == open_quarantined(ids[0], rows[0], line) == "a lantern"
    for user, row in list(product(ids, rows))[1:]:
        for opener, sealed in (
            (open_content, content), (open_words, words), (open_title, title), (open_quarantined, line),
        ):  # fmt: skip
            with pytest.raises(BadSeal):
                opener(user, row, sealed)  # type: ignore[arg-type]  # each with its own kind
    for strange in (content, title, line):
        swapped: Any = strange
        for opener in (open_content, open_title, open_quarantined):
            if {open_content: content, open_title: title, open_quarantined: line}[opener] is not strange:
                with pytest.raises(BadSeal):
                    opener(ids[0], rows[0], swapped)


@pytest.mark.parametrize("damaged", ["", "not base64 at all", "AQ", "AQ==", "ÿ", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
def test_what_is_no_seal_is_refused(users: tuple[Account, Account], damaged: str) -> None:
    seal_words(users[0].id, new_id(), CONTENT)
    with pytest.raises(BadSeal):
        open_words(users[0].id, new_id(), damaged)
    for user_id in (users[0].id, None):
        with pytest.raises(BadSeal):
            open_quarantined(user_id, new_id(), damaged.encode())


def test_json_that_is_written_already_goes_in_as_it_is(users: tuple[Account, Account]) -> None:
    row = new_id()
    words = {"messages": orjson.Fragment(b'[{"role": "user", "content":"a lantern"}]'), "extra": None}
    assert open_words(users[0].id, row, seal_words(users[0].id, row, words)) == CONTENT


def test_a_line_of_nobody_lies_under_the_keys_of_the_settings(app: Doorward) -> None:
    row = new_id()
    sealed = seal_quarantined(None, row, "damaged lantern")
    assert b"lantern" not in sealed
    assert open_quarantined(None, row, sealed) == "damaged lantern"
    for elsewhere in (new_id(),):
        with pytest.raises(BadSeal):
            open_quarantined(None, elsewhere, sealed)


def test_a_line_of_a_user_is_not_opened_as_that_of_nobody(users: tuple[Account, Account]) -> None:
    row = new_id()
    sealed = seal_quarantined(users[0].id, row, "a lantern")
    with pytest.raises(BadSeal):
        open_quarantined(None, row, sealed)


def test_a_destroyed_key_takes_everything_along_and_seals_no_more(users: tuple[Account, Account]) -> None:
    alice, bob, row = users[0].id, users[1].id, new_id()
    sealed = seal_words(alice, row, CONTENT)
    kept = seal_words(bob, row, CONTENT)
    with transaction():
        destroy_data_key(alice)
    with pytest.raises(BadSeal):
        open_words(alice, row, sealed)
    with pytest.raises(BadSeal):
        seal_words(alice, row, CONTENT)
    with held_keys([alice, bob]):
        with pytest.raises(BadSeal):
            open_words(alice, row, sealed)
        assert open_words(bob, row, kept) == CONTENT


def test_it_is_off_unless_asked_for(app: Doorward) -> None:
    assert not sealing_on()


@pytest.mark.parametrize("setting", [{"encrypt_messages": True}])
def test_it_is_on_when_asked_for(app: Doorward) -> None:
    assert sealing_on()


@given(messages=st.lists(st.dictionaries(TEXT, JSON, max_size=3), max_size=3), place=st.integers(0, 2**31))
@example(messages=[{"content": "\0 \ud7ff \U0010ffff"}], place=0)
@budget(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_comes_back_and_any_changed_byte_is_noticed(
    users: tuple[Account, Account], messages: list[dict[str, Any]], place: int
) -> None:
    row, content = new_id(), {"messages": messages, "extra": None}
    with held_keys():
        sealed = seal_content(users[0].id, row, content)
        assert open_content(users[0].id, row, sealed) == content
        at = place % len(sealed)
        with pytest.raises(BadSeal):
            open_content(users[0].id, row, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])
        with pytest.raises(BadSeal):
            open_content(users[0].id, row, sealed[:at])
