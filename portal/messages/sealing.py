"""Sealing what was said: the content of logs, the words of spool lines, the titles of conversations, quarantine.

Each sealed value lies under the key of its user and is bound to its table, column and row, so that none can be moved
to another place, and a destroyed key takes all of them along.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from typing import TYPE_CHECKING, Any

import orjson

from portal.core import crypto, settings
from portal.core.crypto import BadSeal
from portal.core.data_keys import find_data_key, make_data_key
from portal.core.envelopes import disclose, enclose, is_envelope

if TYPE_CHECKING:
    from uuid import UUID


def sealing_on() -> bool:
    """Whether what is stored from now on is sealed. What is sealed already can be opened either way."""
    return settings.current().encrypt_messages


def seal_content(user_id: UUID, log_id: UUID, content: dict[str, Any]) -> bytes:
    """The content of a log (`messages`, `extra`) as sealed_contents keeps it. Raises BadSeal: no key any more."""
    return _sealed(user_id, content, f"sealed_contents.sealed:{log_id}")


def open_content(user_id: UUID, log_id: UUID, sealed: bytes) -> dict[str, Any]:
    """What seal_content sealed. Raises BadSeal."""
    return _opened(user_id, sealed, f"sealed_contents.sealed:{log_id}")


def seal_words(user_id: UUID, log_id: UUID, words: dict[str, Any]) -> str:
    """The words of a spool line (`messages`, `extra`) as text for the line's JSON. Raises BadSeal.

    The first ever of a user makes the key, and commits it, for the line is kept outside the database. JSON that is
    written already goes in as an orjson.Fragment.
    """
    return urlsafe_b64encode(_sealed(user_id, words, f"spool.words:{log_id}")).decode()


def open_words(user_id: UUID, log_id: UUID, sealed: str) -> dict[str, Any]:
    """What seal_words sealed. Raises BadSeal."""
    place = f"spool.words:{log_id}"
    try:
        return _opened(user_id, urlsafe_b64decode(sealed), place)
    except (NotBase64, ValueError) as error:
        raise BadSeal(place) from error


def seal_title(user_id: UUID, conversation_id: UUID, title: str) -> bytes:
    """The title of a conversation as conversations.sealed_title keeps it. Raises BadSeal."""
    return _sealed(user_id, {"title": title}, f"conversations.sealed_title:{conversation_id}")


def open_title(user_id: UUID, conversation_id: UUID, sealed: bytes) -> str:
    """What seal_title sealed. Raises BadSeal."""
    return str(_opened(user_id, sealed, f"conversations.sealed_title:{conversation_id}")["title"])


def seal_quarantined(user_id: UUID | None, record_id: UUID, line: str) -> bytes:
    """A line set aside, as quarantined_records.sealed keeps it. Raises BadSeal.

    `user_id` only of a user who exists; None is for a line of which nobody knows whose it is: it lies under
    ENCRYPTION_KEYS.
    """
    place = f"quarantined_records.sealed:{record_id}"
    if user_id is None:
        return crypto.seal({"line": line}, place=place).encode()
    return _sealed(user_id, {"line": line}, place)


def open_quarantined(user_id: UUID | None, record_id: UUID, sealed: bytes) -> str:
    """What seal_quarantined sealed. Raises BadSeal."""
    place = f"quarantined_records.sealed:{record_id}"
    if is_envelope(sealed):
        if user_id is None:
            raise BadSeal(place)
        return str(_opened(user_id, sealed, place)["line"])
    return str(crypto.unseal(sealed.decode("ascii", "replace"), place=place)["line"])


def _sealed(user_id: UUID, value: dict[str, Any], place: str) -> bytes:
    return enclose(make_data_key(user_id), orjson.dumps(value), place=place)


def _opened(user_id: UUID, sealed: bytes, place: str) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(disclose(find_data_key(user_id), sealed, place=place))
    return value
