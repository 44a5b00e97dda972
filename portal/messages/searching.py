"""Words and where they were said: what is asked for, and the index that answers.

On SQLite the index is written here, beside the words, with the owner as a word of its own, so that a search of one's
own never gathers what others said. On PostgreSQL the database keeps its own index; whose a log is stands beside the
words, and the planner begins with the owner's logs or with the index, whichever leaves less.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, and_, cast, func, literal_column, text, true
from sqlalchemy.dialects.postgresql import REGCONFIG, TSVECTOR

from portal.core.database import db, dialect_name
from portal.messages.shape import plain_text

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement

# The very expression of the index in migrations/.
SAID = (
    "jsonb_to_tsvector('simple'::regconfig, "
    "jsonb_path_query_array(message_contents.messages, '$[*].content ? (@.type() == \"string\")'::jsonpath) || "
    "jsonb_path_query_array(message_contents.messages, '$[*].content[*].text'::jsonpath), '[\"string\"]'::jsonb)"
)
MOST_PARTS = 12
# A part that is one word to both databases.
BARE = re.compile(r"[^\W_]+")
# What may stand between two words in a row in JSON: tags, entities, protocols and escapes, which are no words, and all
# that is no letter.
BETWEEN = r"(<[^>]*>|&[a-z0-9#]+;|[a-z]+://|\\[nrtbf]|[^[:alnum:]])+"
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


@dataclass(frozen=True, slots=True)
class Part:
    """A word, or words in a row, that is asked for; as a prefix, the last of them is only begun."""

    words: str
    prefix: bool


def parts_of(search: str) -> list[Part]:
    """What is typed into a search: words and "phrases", each perhaps with a * behind it."""
    parts = []
    for typed in re.findall(r'"[^"]+"|\S+', search)[:MOST_PARTS]:
        bare = typed.strip('"')
        begun = bare.endswith("*") and len(bare) > 1
        parts.append(Part(bare.rstrip("*") if begun else bare, begun))
    return parts


def matching_words(search: str, owner: UUID | None = None) -> Any:
    """The condition that the words of a row of message_contents hold every part of the search; with an owner, whose."""
    if dialect_name() == "postgresql":
        asked = _postgres_match(search)
        return asked if owner is None else asked & (literal_column("message_contents.user_id") == owner)
    # Without a LIMIT: it would keep the oldest hits of everybody, and hide one's own behind those of others.
    return text(
        "message_contents.number IN (SELECT rowid FROM message_search WHERE message_search MATCH :words)"
    ).bindparams(words=sqlite_match(search, owner))


def holds_words(search: str, *, in_a_row: bool = True) -> ColumnElement[bool]:
    """On PostgreSQL: the same of one log after the other, without the index. Not in a row, letters alone decide."""
    if not in_a_row:
        return and_(true(), *_letters(search, in_a_row=False))
    return and_(*_letters(search), _vector().op("@@", is_comparison=True)(_query(search)))


def is_phrase(search: str) -> bool:
    """Whether words are asked for in a row. The index knows where each stands, but not fast."""
    return any(not BARE.fullmatch(part.words) for part in parts_of(search))


def _vector() -> ColumnElement[Any]:
    return literal_column(SAID)


def _postgres_match(search: str) -> ColumnElement[bool]:
    asked = _vector().op("@@", is_comparison=True)(_query(search, in_a_row=False))
    if not is_phrase(search):
        return asked
    # Where the words stand is not in the index. What is not written as in it, is asked after the letters.
    rows = _vector().op("||")(cast("", TSVECTOR)).self_group()
    return and_(asked, *_letters(search), rows.op("@@", is_comparison=True)(_query(search)))


def _query(search: str, *, in_a_row: bool = True) -> Any:
    """The search as PostgreSQL asks its index: all parts of it."""
    simple = cast("simple", REGCONFIG)
    query: Any = None
    for part in parts_of(search):
        if part.prefix and re.fullmatch(r"\w+", part.words):
            term = func.to_tsquery(simple, part.words + ":*")
        elif in_a_row:
            term = func.phraseto_tsquery(simple, part.words)
        else:
            term = func.plainto_tsquery(simple, part.words)
        query = term if query is None else query.op("&&")(term)
    return query


def _letters(search: str, *, in_a_row: bool = True) -> list[ColumnElement[bool]]:
    """What must stand in the plain text of a hit, whatever the words are: some ten times faster to see than the words.

    Only plain letters are looked for, which JSON writes as they are and every database lowers alike.
    """
    said = func.lower(cast(literal_column("message_contents.messages"), Text))
    found: list[ColumnElement[bool]] = []
    for part in parts_of(search):
        runs = re.findall(r"[^\W_]+", part.words)
        if not runs or not part.words.isascii() or set("<&") & set(part.words):
            continue
        if len(runs) == 1 or not in_a_row:
            found += [func.strpos(said, func.lower(run)) > 0 for run in runs]
        else:
            found.append(said.op("~", is_comparison=True)(func.lower(BETWEEN.join(runs))))
    return found


def sqlite_match(search: str, owner: UUID | None = None, *, in_a_row: bool = True) -> str:
    """The search as FTS5 reads it. All that was typed is quoted, so that none of it is read as a command."""
    phrases = []
    for part in parts_of(search):
        bare = part.words.replace('"', "")
        runs = [bare] if in_a_row else bare.split() or [""]
        phrases += [f'"{run}"' for run in runs[:-1]] + [f'"{run}"' + ("*" if part.prefix else "") for run in runs[-1:]]
    words = f"words : ({' '.join(phrases)})"
    return words if owner is None else f'{words} AND owner : "{owner_token(owner)}"'
