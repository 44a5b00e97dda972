"""The spool at a Redis or Valkey server: one stream that every host writes to, and that every host flushes.

A record is in the stream, its id in a hash and its size in a counter by one script, so all or nothing. Each host reads
as a consumer of its own in one group; what a host took and did not finish is given to it again, and after a while to
any other. That a record is then read twice is harmless: the database takes each (client, id) once.

Under DURABILITY=power a record is told accepted only once the server's append-only file is synced (WAITAOF). A server
that cannot say so (older, or without such a file) is believed, and `doorward check` warns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portal.core import clock
from portal.core.errors import Unavailable
from portal.messages.spool_file import FileSpool
from portal.messages.spool_lock import held_consumer
from portal.messages.spool_protocol import Batch, Depth, Entry, Line, SpoolState, line_of, trigger_of
from portal.messages.spool_scripts import APPEND, TRIM
from portal.messages.spool_server import SpoolServer, server_warnings

if TYPE_CHECKING:
    from portal.core.settings import Settings

# An entry as the server gives it: its number, and its fields where it still has them.
Found = tuple[bytes, "dict[bytes, bytes] | None"]
# One hash tag: in a cluster the keys of a script lie on one node.
LINES, IDS, BYTES = "{doorward:spool}:lines", "{doorward:spool}:ids", "{doorward:spool}:bytes"
KEYS = (LINES, IDS, BYTES)
GROUP = "flush"
# After so long without a word a host's records are another's to store.
SILENT_MS = 60_000
READ = 50


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the stream: its number there, the id of the record, its line."""

    number: bytes
    record: bytes
    raw: bytes

    @property
    def key(self) -> str:
        """Its place. The checksum is part of it: a server that was emptied may give a number again."""
        return f"redis:{self.number.decode()}:{self.raw[:8].decode('latin-1')}"


@dataclass(frozen=True, slots=True)
class _Taken:
    """The mark of a batch that came from the stream."""

    entries: list[_Entry]


class RedisSpool:
    """The spool at REDIS_URL. What an earlier SPOOL=file left in this host's folder is flushed along with it."""

    def __init__(self, settings: Settings) -> None:
        self.server = SpoolServer(settings.redis_url, KEYS)
        self.power = settings.durability == "power"
        self.most = settings.spool_max_bytes
        self.trigger = trigger_of(settings)
        self.left = FileSpool(settings)
        self.folder = settings.data_dir / "spool"

    # ---- Taking -----------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> list[bytes | None]:
        """Keep those that are new; for each None, or the digest of its twin. Raises Unavailable, then none is kept."""
        if not entries:
            return []
        lines = [line_of(entry.body) for entry in entries]
        arguments: list[Any] = [GROUP, self.most]
        for entry, line in zip(entries, lines, strict=True):
            arguments += [_id_of(entry.client_id, entry.source_id), entry.digest, line]
        answers = self.server.run(APPEND, arguments, synced=self.power)
        if answers == -1:
            raise Unavailable
        kept = [line for line, twin in zip(lines, answers, strict=True) if not twin]
        self.trigger.note(len(kept), sum(map(len, kept)))
        return [twin or None for twin in answers]

    def known(self, client_id: str, source_id: str) -> bytes | None:
        """The digest of a record that waits here. Raises Unavailable."""
        digest: bytes | None = self.server.ask(lambda client: client.hget(IDS, _id_of(client_id, source_id)))
        return digest

    # ---- Flushing ---------------------------------------------------------------------------------------------

    def batches(self, most_rows: int, most_bytes: int) -> Iterator[Batch]:
        """What waits, oldest first. One flusher of this host at a time; other hosts flush other entries meanwhile."""
        self.trigger.reset()
        yield from self.left.batches(most_rows, most_bytes)
        with held_consumer(self.folder) as consumer:
            if consumer is None:
                return
            taken: list[_Entry] = []
            size = 0
            for entry in self._entries(consumer, most_rows):
                taken.append(entry)
                size += len(entry.raw)
                if len(taken) >= most_rows or size >= most_bytes:
                    yield _batch_of(taken)
                    taken, size = [], 0
            if taken:
                yield _batch_of(taken)

    def _entries(self, consumer: str, most: int) -> Iterator[_Entry]:
        """What this host took before and did not finish, then what silent hosts took, then what nobody took yet."""
        count = min(READ, most)
        after = b"0"
        while found := self._read(consumer, after, count):
            yield from self._whole(found)
            after = found[-1][0]
        start = b"0-0"
        while True:
            start, found = self._claim(consumer, start, count)
            yield from self._whole(found)
            if start == b"0-0":
                break
        while found := self._read(consumer, b">", count):
            yield from self._whole(found)

    def _read(self, consumer: str, after: bytes, count: int) -> list[Found]:
        def read(client: Any) -> Any:
            return client.xreadgroup(GROUP, consumer, {LINES: after}, count=count)

        def read_anew(client: Any) -> Any:
            try:
                return read(client)
            except self.server.Refused as error:
                if not str(error).startswith("NOGROUP"):
                    raise
            # The server was emptied, or somebody took the group away: from the beginning.
            client.xgroup_create(LINES, GROUP, "0", mkstream=True)
            return read(client)

        answer = self.server.ask(read_anew)
        found: list[Found] = answer[0][1] if answer else []
        return found

    def _claim(self, consumer: str, start: bytes, count: int) -> tuple[bytes, list[Found]]:
        answer = self.server.ask(
            lambda client: client.xautoclaim(LINES, GROUP, consumer, SILENT_MS, start, count=count)
        )
        return answer[0], answer[1]

    def _whole(self, found: list[Found]) -> list[_Entry]:
        """Entries as they were written. One that somebody removed by hand comes without fields, and is let go."""
        if gone := [number for number, fields in found if not fields]:
            self.server.ask(lambda client: client.xack(LINES, GROUP, *gone))
        return [_Entry(number, fields.get(b"id", b""), fields.get(b"line", b"")) for number, fields in found if fields]

    def remember(self, batch: Batch) -> None:
        """Nothing: what comes again is known by the database."""
        if not isinstance(batch.mark, _Taken):
            self.left.remember(batch)

    def trim(self, batch: Batch) -> None:
        """Let go of what is stored. Raises Unavailable."""
        if not isinstance(batch.mark, _Taken):
            self.left.trim(batch)
            return
        arguments: list[Any] = [GROUP]
        for entry in batch.mark.entries:
            arguments += [entry.number, entry.record, len(entry.raw)]
        self.server.run(TRIM, arguments)

    # ---- Looking ----------------------------------------------------------------------------------------------

    def depth(self) -> Depth:
        """What all hosts hold together. Raises Unavailable."""

        def look(client: Any) -> Any:
            return client.pipeline(transaction=False).get(BYTES).xlen(LINES).xrange(LINES, count=1).execute()

        size, rows, oldest = self.server.ask(look)
        left = self.left.depth()
        age = None
        if oldest:
            age = max(0.0, clock.now().timestamp() - int(oldest[0][0].partition(b"-")[0]) / 1000)
        if left.size:
            age = max(age or 0.0, left.age_s or 0.0)
        return Depth(int(size or 0) + left.size, rows if not left.size else None, age)

    def waiting(self) -> int:
        """Bytes that are not stored yet. Raises Unavailable."""
        return int(self.server.ask(lambda client: client.get(BYTES)) or 0) + self.left.waiting()

    def state(self) -> SpoolState:
        """How it is. Never raises."""
        try:
            depth = self.depth()
        except Unavailable as error:
            cause = error.__cause__
            return SpoolState("down", f"{type(cause).__name__}: {str(cause)[:120]}" if cause else "does not answer")
        if depth.size >= self.most:
            return SpoolState("down", f"full: {depth.size} bytes held")
        words = [f"{depth.size} bytes held", *self.warnings()]
        return SpoolState("warning" if depth.size > self.most // 2 or len(words) > 1 else "ok", "; ".join(words))

    def warnings(self) -> list[str]:
        """Under which settings its server itself would lose records. Never raises."""
        try:
            return self.server.ask(lambda client: server_warnings(client, power=self.power))
        except Unavailable:
            return ["the server does not answer: cannot tell whether it keeps what it is given"]

    def close(self) -> None:
        """Hang up. A later call connects anew."""
        self.left.close()
        self.server.close()


def _id_of(client_id: str, source_id: str) -> bytes:
    return f"{client_id} {source_id}".encode("utf-8", "surrogatepass")


def _batch_of(taken: list[_Entry]) -> Batch:
    return Batch([Line(entry.key, entry.raw) for entry in taken], _Taken(taken))
