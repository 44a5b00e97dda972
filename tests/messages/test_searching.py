"""The index of words: whose they are is in it, and what is deleted leaves it whole."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import delete, select, text

from portal.accounts.models import Account
from portal.core.database import db, dialect_name, transaction
from portal.messages.flush import flush
from portal.messages.models import MessageContent
from portal.messages.reading import LogFilter, own_hits
from portal.messages.searching import drop_words, owner_token
from tests.messages.conftest import record
from tests.people import actor_named

Push = Callable[..., list[tuple[str, str | None]]]


def hits(match: str) -> list[int]:
    """Numbers that SQLite's index answers."""
    return list(
        db.session.scalars(text("SELECT rowid FROM message_search WHERE message_search MATCH :m"), {"m": match})
    )


def test_the_name_of_an_owner_is_no_word_that_was_said(push: Push, alice: Account) -> None:
    push(record(id="a"))
    flush()
    who = actor_named("alice")
    assert own_hits(who, LogFilter(search="hello")).items
    for search in (
        owner_token(alice.id),
        "u*",
        f"owner:{owner_token(alice.id)}",
        f'x" OR owner:"{owner_token(alice.id)}',
    ):
        assert own_hits(who, LogFilter(search=search)).items == []
    if dialect_name() == "sqlite":
        assert len(hits(f'words : ("hello") AND owner : "{owner_token(alice.id)}"')) == 1


def test_words_that_are_dropped_are_found_no_more(push: Push, alice: Account) -> None:
    push(*(record(id=name, conversation_id=name) for name in "abc"))
    flush()
    rows = list(db.session.scalars(select(MessageContent).order_by(MessageContent.number)))
    said = [(row.number, row.user_id, row.messages) for row in rows[:2]]
    assert {row.user_id for row in rows} == {alice.id}
    with transaction():
        drop_words(said)
        db.session.execute(delete(MessageContent).where(MessageContent.number.in_([number for number, *_ in said])))
    assert [one.talk.source_id for one in own_hits(actor_named("alice"), LogFilter(search="hello")).items] == ["c"]
    if dialect_name() == "sqlite":
        assert hits("hello") == hits(f"owner : {owner_token(alice.id)}") == [rows[2].number]
        db.session.execute(text("INSERT INTO message_search (message_search) VALUES ('integrity-check')"))
    with transaction():
        drop_words([])
