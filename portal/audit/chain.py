"""The chain: each entry's digest covers the digest before it, so that nothing can be changed, moved or taken out.

What is personal is covered through a salted commitment only: with the salt and the words gone, as a purge wants it,
what stays still proves that there was such an entry at its place, and tells nothing of what it said.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from portal.audit.events import EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from uuid import UUID

    Entry = Mapping[str, Any]

# What the first entry is chained to.
GENESIS: Final = hashlib.sha256(b"doorward audit chain 1").digest()
SALT_BYTES: Final = 16
FACT: Final = "facts."
# Whose name and address are those of a user, or may be.
_USERS: Final = frozenset({"user", "nobody"})
# Targets whose names say nothing of a user.
_THINGS: Final = frozenset({"staff", "admin", "plan", "client", "provider", "network", "job", "mail"})


def personal_parts(entry: Entry) -> list[str]:
    """The names of what in this entry may tell of a user: columns, and facts as `facts.NAME`."""
    parts = ["reason"]
    if entry["actor_kind"] in _USERS:
        parts += ["actor_name", "address"]
    if entry["target_type"] is not None and entry["target_type"] not in _THINGS:
        parts.append("target_name")
    event = EVENTS.get(entry["event"])
    if event is not None:
        parts += [FACT + name for name in event.personal]
    return sorted(parts)


def is_blank(entry: Entry) -> bool:
    """Whether nothing personal is left in an entry."""
    return not any(_value(entry, part) for part in entry["personal"])


def blank(entry: Entry, parts: list[str]) -> dict[str, Any]:
    """What the columns of an entry become when nothing personal shall be left in them."""
    values: dict[str, Any] = {"salt": None}
    facts = dict(entry["facts"])
    for part in parts:
        if part.startswith(FACT):
            facts[part.removeprefix(FACT)] = None
        else:
            values[part] = "" if part == "actor_name" else None
    return {**values, "facts": facts}


def commit(entry: MutableMapping[str, Any]) -> None:
    """Give an entry its salt and the commitment to what is personal in it."""
    entry["personal"] = personal_parts(entry)
    entry["salt"] = secrets.token_bytes(SALT_BYTES)
    entry["personal_digest"] = commitment(entry)


def commitment(entry: Entry) -> bytes:
    """SHA-256 of the salt and of what is personal. TypeError without a salt."""
    said = {part: _value(entry, part) for part in entry["personal"]}
    return hashlib.sha256(entry["salt"] + _written(said)).digest()


def digest_of(before: bytes, seq: int, entry: Entry) -> bytes:
    """The digest of an entry at a place of the chain: SHA-256 over the digest before it, its number and its bytes."""
    return hashlib.sha256(before + seq.to_bytes(8) + canonical(entry)).digest()


def canonical(entry: Entry) -> bytes:
    """An entry as bytes, the same on every database: JSON with sorted keys, ASCII, no blanks."""
    personal = set(entry["personal"])

    def open_part(name: str) -> Any:
        return None if name in personal else entry[name]

    return _written(
        [
            entry["id"].hex,
            entry["at"].astimezone(UTC).isoformat(timespec="microseconds"),
            entry["event"],
            [entry["actor_kind"], _hex(entry["actor_id"]), open_part("actor_name"), entry["credential"]],
            _hex(entry["on_behalf_of"]),
            [entry["target_type"], _hex(entry["target_id"]), open_part("target_name")],
            {name: value for name, value in entry["facts"].items() if FACT + name not in personal},
            open_part("reason"),
            entry["case"],
            entry["request_id"],
            open_part("address"),
            entry["result"],
            sorted(personal),
            entry["personal_digest"].hex(),
        ]
    )


def _value(entry: Entry, part: str) -> Any:
    return entry["facts"].get(part.removeprefix(FACT)) if part.startswith(FACT) else entry[part]


def _hex(value: UUID | None) -> str | None:
    return value.hex if value else None


def _written(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")
