"""Sealing what was said: the content of logs, the words of spool lines, the titles of conversations.

Each sealed value is bound to its user, its table and its row, so that none can be moved to another place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portal.core.crypto import seal, unseal

if TYPE_CHECKING:
    from uuid import UUID


def sealing_on() -> bool:
    """Whether what is stored from now on is sealed. What is sealed already can be opened either way."""
    return False


def seal_content(user_id: UUID, log_id: UUID, content: dict[str, Any]) -> bytes:
    """The content of a log (`messages`, `extra`) as sealed_contents keeps it."""
    return seal(content, place=f"sealed_contents.sealed:{user_id}:{log_id}").encode()


def open_content(user_id: UUID, log_id: UUID, sealed: bytes) -> dict[str, Any]:
    """What seal_content sealed. Raises BadSeal."""
    return unseal(sealed.decode(), place=f"sealed_contents.sealed:{user_id}:{log_id}")


def seal_words(user_id: UUID, log_id: UUID, words: dict[str, Any]) -> str:
    """The words of a spool line (`messages`, `extra`) as text for the line's JSON."""
    return seal(words, place=f"spool.words:{user_id}:{log_id}")


def open_words(user_id: UUID, log_id: UUID, sealed: str) -> dict[str, Any]:
    """What seal_words sealed. Raises BadSeal."""
    return unseal(sealed, place=f"spool.words:{user_id}:{log_id}")


def seal_title(user_id: UUID, conversation_id: UUID, title: str) -> bytes:
    """The title of a conversation as conversations.sealed_title keeps it."""
    return seal({"title": title}, place=f"conversations.sealed_title:{user_id}:{conversation_id}").encode()


def open_title(user_id: UUID, conversation_id: UUID, sealed: bytes) -> str:
    """What seal_title sealed. Raises BadSeal."""
    place = f"conversations.sealed_title:{user_id}:{conversation_id}"
    return str(unseal(sealed.decode(), place=place)["title"])
