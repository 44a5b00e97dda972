"""The index of words on SQLite, written beside the words. On PostgreSQL the database keeps its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from portal.core.database import db, dialect_name
from portal.messages.shape import plain_text

if TYPE_CHECKING:
    from uuid import UUID

# (the log's number, whose words, what was said)
Said = tuple[int, "UUID", list[dict[str, Any]]]


def owner_token(user_id: UUID) -> str:
    """A user as a word of the index, in its column `owner`."""
    return f"u{user_id.hex}"


def index_words(said: list[Said]) -> None:
    """Put the words of these logs into the index, in the transaction that stores them."""
    if said and dialect_name() == "sqlite":
        db.session.execute(
            text("INSERT INTO message_search (rowid, words, owner) VALUES (:number, :words, :owner)"), _rows(said)
        )


def drop_words(said: list[Said]) -> None:
    """Take the words of these logs out of the index, in the transaction that deletes them.

    They must be the very words that were put in: the index keeps none itself, and finds its entries by them.
    """
    if said and dialect_name() == "sqlite":
        db.session.execute(
            text(
                "INSERT INTO message_search (message_search, rowid, words, owner)"
                " VALUES ('delete', :number, :words, :owner)"
            ),
            _rows(said),
        )


def _rows(said: list[Said]) -> list[dict[str, Any]]:
    return [
        {"number": number, "words": plain_text(messages), "owner": owner_token(user_id)}
        for number, user_id, messages in said
    ]
