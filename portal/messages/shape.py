"""The shape of a pushed record: what is accepted, read by aliases, kept, and refused by name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from portal.core import clock
from portal.core.text import gettext, model_name

MOST_BYTES = 256 * 1024
MOST_DEPTH = 32
MOST_MODEL = 80
MOST_MESSAGES = 1000
# As far as a client's clock, or one that forgot its zone, may be ahead. How long a record is kept counts from when it
# came, so such a time changes only where it stands in lists.
FUTURE = timedelta(days=1)
INT = 2**31 - 1
ALIASES = {"user": "username", "created_at": "timestamp"}
TOKENS = {
    "prompt_tokens": "prompt_tokens",
    "input_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
    "output_tokens": "completion_tokens",
    "total_tokens": "total_tokens",
}
KNOWN = {
    "id", "username", "user", "user_id", "conversation_id", "model", "messages", "prompt", "response", "usage",
    "latency_ms", "timestamp", "created_at", "metadata",
}  # fmt: skip


class BadRecord(ValueError):
    """A record that is refused; its text says why, for the client's developer."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as understood. `source_id` None until one is given to it."""

    source_id: str | None
    username: str | None
    user_id: UUID | None
    conversation: str | None
    model: str
    messages: list[dict[str, Any]]
    tokens: dict[str, int]
    latency_ms: int | None
    at: datetime
    extra: dict[str, Any] | None
    digest: bytes


def _text(raw: dict[str, Any], name: str, most: int) -> str | None:
    value = raw.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value or len(value) > most:
        raise BadRecord(gettext("%(name)s must be a text of 1 to %(most)s characters", name=name, most=most))
    return value


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= INT:
        raise BadRecord(gettext("%(name)s must be a whole number from 0 to 2147483647", name=name))
    return value


def _check_text(value: Any, depth: int = 0) -> None:
    """Refuse what a database cannot keep: NUL, lone surrogates, endless nesting."""
    if depth > MOST_DEPTH:
        raise BadRecord(gettext("nested more than %(most)s deep", most=MOST_DEPTH))
    if isinstance(value, str):
        if "\0" in value:
            raise BadRecord(gettext("a text holds NUL"))
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key, depth + 1)
            _check_text(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_text(inner, depth + 1)


def _messages(raw: dict[str, Any]) -> list[dict[str, Any]]:
    messages = raw.get("messages")
    if "prompt" in raw or "response" in raw:
        if messages is not None:
            raise BadRecord(gettext("give messages, or prompt and response, not both"))
        messages = []
        for name, role in (("prompt", "user"), ("response", "assistant")):
            said = raw.get(name)
            if said is not None:
                if not isinstance(said, str):
                    raise BadRecord(gettext("%(name)s must be a text", name=name))
                messages.append({"role": role, "content": said})
    if not isinstance(messages, list) or not messages or len(messages) > MOST_MESSAGES:
        raise BadRecord(gettext("messages must be a list of 1 to %(most)s", most=MOST_MESSAGES))
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise BadRecord(gettext("each message needs a role"))
        if not isinstance(message.get("content"), str | list | None):
            raise BadRecord(gettext("content must be a text, a list of parts, or null"))
    return messages


def _instant(raw: dict[str, Any]) -> datetime:
    given = raw.get("timestamp")
    now = clock.now()
    if given is None:
        return now
    try:
        instant = datetime.fromisoformat(given)
    except (ValueError, TypeError):
        raise BadRecord(gettext("timestamp must be an ISO 8601 instant")) from None
    if instant.tzinfo is None:
        raise BadRecord(gettext("timestamp needs a zone, such as Z"))
    try:
        instant = instant.astimezone(UTC)
    except OverflowError:
        raise BadRecord(gettext("timestamp is out of range")) from None
    if instant > now + FUTURE:
        raise BadRecord(gettext("timestamp is more than a day in the future"))
    if instant.year < 2000:
        raise BadRecord(gettext("timestamp is before the year 2000"))
    return instant


def read_record(raw: Any) -> Record:
    """Understand one pushed record. Raises BadRecord."""
    if not isinstance(raw, dict):
        raise BadRecord(gettext("a record is an object"))
    if not raw.keys() <= KNOWN:
        raise BadRecord(gettext("unknown field: %(name)s", name=min(raw.keys() - KNOWN)[:60]))
    plain = raw
    for alias, name in ALIASES.items():
        if alias in plain:
            plain = dict(plain)
            if name in plain:
                raise BadRecord(gettext("%(alias)s and %(name)s are the same field", alias=alias, name=name))
            plain[name] = plain.pop(alias)
    try:
        canonical = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        _check_text(plain)
        raise BadRecord(gettext("holds what JSON cannot carry")) from None
    # Most records need no closer look: with so few brackets nothing is deep, and NUL is always escaped.
    if b"\\u0000" in canonical or canonical.count(b"[") + canonical.count(b"{") > MOST_DEPTH:
        _check_text(plain)
    if len(canonical) > MOST_BYTES:
        raise BadRecord(gettext("larger than %(most)s bytes", most=MOST_BYTES))
    user_id = _user_id(plain)
    username = _text(plain, "username", 320)
    if user_id is None and username is None:
        raise BadRecord(gettext("username or user_id is needed"))
    usage = plain.get("usage")
    if usage is not None and (not isinstance(usage, dict) or set(usage) - set(TOKENS)):
        raise BadRecord(gettext("usage holds only prompt_tokens, completion_tokens and total_tokens"))
    metadata = plain.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise BadRecord(gettext("metadata must be an object"))
    latency = plain.get("latency_ms")
    return Record(
        source_id=_text(plain, "id", 128),
        username=username,
        user_id=user_id,
        conversation=_text(plain, "conversation_id", 128),
        model=_model(plain),
        messages=_messages(plain),
        tokens={TOKENS[name]: _whole(value, name) for name, value in (usage or {}).items() if value is not None},
        latency_ms=None if latency is None else _whole(latency, "latency_ms"),
        at=_instant(plain),
        extra=metadata or None,
        digest=hashlib.sha256(canonical).digest()[:16],
    )


def _model(raw: dict[str, Any]) -> str:
    """The model's name in its one form, measured as it is kept."""
    name = model_name(_text(raw, "model", MOST_MODEL) or "")
    if len(name) > MOST_MODEL:
        raise BadRecord(gettext("%(name)s must be a text of 1 to %(most)s characters", name="model", most=MOST_MODEL))
    return name


def _user_id(raw: dict[str, Any]) -> UUID | None:
    given = raw.get("user_id")
    if given is None:
        return None
    try:
        return UUID(given)
    except (ValueError, TypeError, AttributeError):
        raise BadRecord(gettext("user_id must be an id")) from None


def plain_text(messages: list[dict[str, Any]]) -> str:
    """The words of an exchange, for searching and for a title."""
    words: list[str] = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            words.append(content)
        elif isinstance(content, list):
            said = [part.get("text") if isinstance(part, dict) else part for part in content]
            words += [part for part in said if isinstance(part, str)]
    return "\n".join(words)
