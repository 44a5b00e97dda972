"""The ids of records that wait in spool files, with what they are compared by, forgotten file by file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from portal.core import clock
from portal.messages.spool_protocol import Entry, body_of

if TYPE_CHECKING:
    from pathlib import Path

# Whoever asked the database before a file was stored and removed asks here within this time.
GRACE_S = 30
Key = tuple[str, str]


class _Head(msgspec.Struct):
    client_id: str
    source_id: str
    digest: str


class WaitingIds:
    """By client and id the digest of each record; the caller holds a lock."""

    def __init__(self) -> None:
        self._digests: dict[Key, bytes] = {}
        self._keys: dict[str, list[Key]] = {}
        self._gone: dict[str, float] = {}

    def get(self, key: Key) -> bytes | None:
        """The digest of a record that waits."""
        return self._digests.get(key)

    def add(self, file: str, entries: Iterable[Entry]) -> None:
        """These wait in this file."""
        keys = self._keys.setdefault(file, [])
        for entry in entries:
            key = entry.client_id, entry.source_id
            self._digests[key] = entry.digest
            keys.append(key)

    def read(self, path: Path, *, durable: bool) -> None:
        """Learn what a file of another process holds; one that is gone, or cannot be made durable, is passed over."""
        try:
            with path.open("rb") as file:
                if durable:
                    os.fdatasync(file.fileno())
                self.add(path.name, (entry for line in file if (entry := _entry_of(line)) is not None))
        except OSError:
            return

    def drop(self, file: str) -> None:
        """Forget what waits in this file."""
        for key in self._keys.pop(file, []):
            self._digests.pop(key, None)
        self._gone.pop(file, None)

    def keep_only(self, there: set[str]) -> None:
        """Forget the files that have been gone for GRACE_S: the database has had their records since."""
        now = clock.monotonic()
        for file in self._keys.keys() - there:
            if now - self._gone.setdefault(file, now) > GRACE_S:
                self.drop(file)


def _entry_of(line: bytes) -> Entry | None:
    """What a line is known by; None for a damaged one, which the flush will set aside."""
    body = body_of(line)
    try:
        head = msgspec.json.decode(body or b"", type=_Head)
        return Entry(head.client_id, head.source_id, bytes.fromhex(head.digest), b"")
    except ValueError:
        return None
