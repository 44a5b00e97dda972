"""What a spool is: where accepted records wait, durably, for the next flush. Two real ones keep to this.

A line is a checksum and a JSON object, the same bytes in a file and in a stream.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from portal.core.settings import Settings


class Entry(NamedTuple):
    """A record to be kept: whose id it has, what it is compared by, and its JSON, an object on one line."""

    client_id: str
    source_id: str
    digest: bytes
    body: bytes


class Line(NamedTuple):
    """A line that waits: its place in the spool (never the same for another line), and its bytes as they were read."""

    key: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines that are stored in one transaction, and the spool's own note of where they end."""

    lines: list[Line]
    mark: Any = None


@dataclass(frozen=True, slots=True)
class Depth:
    """What a spool holds: bytes; rows (None: not known); seconds since the oldest came (None: nothing waits)."""

    size: int
    rows: int | None = None
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class SpoolState:
    """How a spool is: `ok`, `warning` or `down`, and words."""

    state: str
    words: str


@dataclass(slots=True)
class Trigger:
    """Counts what came since the last flush, and wakes who flushes at FLUSH_MAX_ROWS or FLUSH_MAX_BYTES."""

    most_rows: int
    most_bytes: int
    wake: Callable[[], None] | None = None
    rows: int = 0
    size: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, rows: int, size: int) -> None:
        """So much was appended."""
        with self._lock:
            self.rows, self.size = self.rows + rows, self.size + size
            if self.rows < self.most_rows and self.size < self.most_bytes:
                return
            self.rows = self.size = 0
        if self.wake is not None:
            self.wake()

    def reset(self) -> None:
        """A flush begins."""
        with self._lock:
            self.rows = self.size = 0


def trigger_of(settings: Settings) -> Trigger:
    """The trigger of a spool of these settings."""
    return Trigger(settings.flush_rows, settings.flush_max_bytes)


class Spool(Protocol):
    """Somewhere that keeps records until they are flushed. Any thread may call any method."""

    trigger: Trigger

    def append(self, entries: Sequence[Entry]) -> list[bytes | None]:
        """Keep those that are new here, all of them durably, and say so for each: None, or the digest of its twin.

        A twin is a record with this client and id that waits here already; nothing is done with an entry that has
        one. Two threads with one id: exactly one is kept, and the other is answered only once that one is durable.
        Raises Unavailable; then none is kept that was not before.
        """

    def known(self, client_id: str, source_id: str) -> bytes | None:
        """The digest of a record that waits here. Raises Unavailable."""

    def batches(self, most_rows: int, most_bytes: int) -> Iterator[Batch]:
        """What waits, oldest first, each batch after the one before it was stored and trimmed.

        Nothing when somebody else flushes this spool now and two must not. Close it (`closing`) when leaving early.
        Raises Unavailable.
        """

    def remember(self, batch: Batch) -> None:
        """Write down inside the transaction of the rows that they are stored, where the spool itself cannot know."""

    def trim(self, batch: Batch) -> None:
        """After the commit: let go of what is stored. A crash before it only makes the batch come again or not at all.

        Raises Unavailable.
        """

    def depth(self) -> Depth:
        """What is held, cheap enough for each look at the console. Raises Unavailable."""

    def waiting(self) -> int:
        """Bytes that are not stored yet; may ask the database. Raises Unavailable."""

    def state(self) -> SpoolState:
        """How it is, for health. Never raises."""

    def warnings(self) -> list[str]:
        """What of its setting or server may lose records, in words for `doorward check`. Never raises."""

    def close(self) -> None:
        """Let go of what this process holds. A later append begins anew. Raises Unavailable."""


def line_of(body: bytes) -> bytes:
    """One line: CRC-32 of the JSON in hex, a space, the JSON."""
    return b"%08x %s\n" % (zlib.crc32(body), body)


def body_of(line: bytes) -> bytes | None:
    """The JSON of a line, or None for a torn or damaged one."""
    if not line.endswith(b"\n") or line[8:9] != b" ":
        return None
    body = line[9:-1]
    try:
        return body if int(line[:8], 16) == zlib.crc32(body) else None
    except ValueError:
        return None
