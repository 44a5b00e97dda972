"""The spool in files: one append-only file per process, held by a file lock.

Under DURABILITY=power a record is on disk (fdatasync) before anybody is told it was accepted; those who push at
the same moment share one sync.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from portal.core import clock
from portal.core.database import db
from portal.core.errors import Unavailable
from portal.messages.models import SpoolPosition
from portal.messages.spool_folder import SpoolFolder, read_lines
from portal.messages.spool_ids import WaitingIds
from portal.messages.spool_own import ROTATE_AT, OwnFile, begin_file
from portal.messages.spool_protocol import Batch, Depth, Entry, SpoolState, line_of, trigger_of
from portal.messages.upserting import upsert_into

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from portal.core.settings import Settings

LOOK_S = 1
# Each process of a host may take so great a part of the room it saw before it looks again.
SHARERS = 8


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a batch ends; without a file: the positions of removed files are no longer needed."""

    path: Path | None
    end: int = 0


class FileSpool:
    """The spool in DATA_DIR/spool: this process's own file for writing, all files of the host for reading."""

    def __init__(self, settings: Settings) -> None:
        self.folder = SpoolFolder(settings.data_dir / "spool")
        self.power = settings.durability == "power"
        self.most = settings.spool_max_bytes
        self.trigger = trigger_of(settings)
        # A file goes only when it is full and stored, so a small spool needs small files.
        self.rotate_at = min(ROTATE_AT, self.most // 4)
        self._pid = 0
        self._open: OwnFile | None = None
        self._ids = WaitingIds()
        self._looked = float("-inf")
        self._held = self._share = 0
        self._removed: list[str] = []
        self._write = threading.Lock()

    # ---- Writing --------------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> list[bytes | None]:
        """Keep what is new, durably; for each None, or the digest of its twin. Raises Unavailable: none is kept."""
        here: OwnFile | None = None
        try:
            with self._write:
                here = self._own_file()
                if clock.monotonic() - self._looked > LOOK_S:
                    self._look()
                twins, fresh = self._judge(entries)
                data = b"".join(line_of(entry.body) for entry in fresh)
                if fresh:
                    self._make_room(here, len(data))
                    here.put(data)
                    self._held, self._share = self._held + len(data), self._share - len(data)
                    self._ids.add(here.path.name, fresh)
                end = here.written
            here.make_durable(end)
        except OSError as error:
            if here is not None and here.broken:
                self._abandon(here)
            raise Unavailable from error
        if fresh:
            self.trigger.note(len(fresh), len(data))
        return twins

    def _judge(self, entries: Sequence[Entry]) -> tuple[list[bytes | None], list[Entry]]:
        """For each its twin, here or earlier in the call; and those that have none."""
        twins: list[bytes | None] = []
        fresh: dict[tuple[str, str], Entry] = {}
        for entry in entries:
            key = entry.client_id, entry.source_id
            earlier = fresh.get(key)
            twins.append(self._ids.get(key) if earlier is None else earlier.digest)
            if twins[-1] is None:
                fresh[key] = entry
        return twins, list(fresh.values())

    def _make_room(self, here: OwnFile, size: int) -> None:
        """Raises Unavailable when so many bytes do not fit.

        What other processes hold is looked up once a second, and before this one takes more than its share of the
        room there was then: however fast several of them fill it, together they stay within it.
        """
        if size > self._share:
            self._look()
        if self._held + size > self.most:
            if here.written:
                self._let_go()  # then a flush can remove it
            raise Unavailable

    def _look(self) -> None:
        """See what all processes hold, and forget the ids of files that are gone. The lock of writing is held."""
        listed = self.folder.listed()
        self._held, self._looked = sum(one.size for one in listed), clock.monotonic()
        self._share = (self.most - self._held) // SHARERS
        self._ids.keep_only({one.path.name for one in listed})

    def _abandon(self, here: OwnFile) -> None:
        """Never write to a broken file again."""
        with self._write:
            if here is self._open:
                self._let_go()

    def _own_file(self) -> OwnFile:
        """This process's file; after a fork, or when it is large, old, broken or gone from its place, a new one."""
        here, fresh = self._open, self._pid != os.getpid()
        if here is not None and not fresh and not here.is_over(self.rotate_at) and here.in_place():
            return here
        made = begin_file(self.folder, power=self.power)
        if fresh:
            if here is not None:
                here.file.close()  # our copy: the process it was made in holds it still
            self._learn_ids(made.path)
        self._let_go()
        self._open, self._pid = made, os.getpid()
        return made

    def _learn_ids(self, own: Path) -> None:
        """What lies here from before this process, so that a repeat is known after a restart."""
        self._ids = WaitingIds()
        for one in self.folder.listed():
            if one.path != own:
                self._ids.read(one.path, durable=self.power)

    def _let_go(self) -> None:
        """Close this process's file. What a broken one holds may be pushed again."""
        here = self._open
        if here is not None and self._pid == os.getpid():
            self._open = None
            if not here.finish():
                self._ids.drop(here.path.name)

    def close(self) -> None:
        """Let go of this process's file, so that a flush may remove it. A later append begins another one."""
        with self._write:
            self._let_go()

    # ---- Reading --------------------------------------------------------------------------------------------------

    def known(self, client_id: str, source_id: str) -> bytes | None:
        """The digest of a record that waits here, by its client and id. Raises Unavailable."""
        with self._write:
            if self._pid != os.getpid():
                try:
                    self._own_file()
                except OSError as error:
                    raise Unavailable from error
            return self._ids.get((client_id, source_id))

    def batches(self, most_rows: int, most_bytes: int) -> Iterator[Batch]:
        """What waits in the files of this host; nothing while another flusher of the host is at it."""
        self.trigger.reset()
        try:
            with self.folder.alone() as mine:
                for one in self.folder.listed() if mine else ():
                    yield from self._batches_of(one.path, most_rows, most_bytes)
                if self._removed and mine:
                    yield Batch([], _Mark(None))
        except OSError as error:
            raise Unavailable from error

    def _batches_of(self, path: Path, most_rows: int, most_bytes: int) -> Iterator[Batch]:
        query = select(SpoolPosition.position).where(SpoolPosition.file == path.name)
        position = db.session.scalar(query) or 0
        while True:
            left = self.folder.is_left(path)
            lines, end = read_lines(path, position, left=left, most_rows=most_rows, most_bytes=most_bytes)
            if end == position and not left:
                return
            yield Batch(lines, _Mark(path, end))
            if end == position:
                return  # a file that is left, stored to its end
            position = end

    def remember(self, batch: Batch) -> None:
        """Write down how far the file is stored, in the transaction that stores it."""
        mark: _Mark = batch.mark
        if mark.path is None:
            db.session.execute(delete(SpoolPosition).where(SpoolPosition.file.in_(self._removed)))
            return
        fresh = upsert_into(SpoolPosition).values(file=mark.path.name, position=mark.end)
        db.session.execute(fresh.on_conflict_do_update(index_elements=["file"], set_={"position": mark.end}))

    def trim(self, batch: Batch) -> None:
        """Remove the file when it is stored to its end and no process holds it. Raises Unavailable."""
        mark: _Mark = batch.mark
        if mark.path is None:
            self._removed.clear()
            return
        try:
            if self.folder.remove_if_left(mark.path, mark.end):
                self._removed.append(mark.path.name)
        except OSError as error:
            raise Unavailable from error

    def depth(self) -> Depth:
        """Bytes in all files of the host, stored or not yet removed; the age of the one not written for longest."""
        try:
            listed = [one for one in self.folder.listed() if one.size]
        except OSError as error:
            raise Unavailable from error
        self._tend()
        now = (clock.now() - clock.offset()).timestamp()
        age = max(0.0, now - listed[0].written_at) if listed else None
        return Depth(sum(one.size for one in listed), None, age)

    def waiting(self) -> int:
        """Bytes in the files of the host that are not stored yet. Raises Unavailable."""
        self._tend()
        try:
            listed = self.folder.listed()
        except OSError as error:
            raise Unavailable from error
        if not listed:
            return 0
        names = [one.path.name for one in listed]
        query = select(SpoolPosition.file, SpoolPosition.position).where(SpoolPosition.file.in_(names))
        stored = {row.file: row.position for row in db.session.execute(query)}
        return sum(max(0, one.size - stored.get(one.path.name, 0)) for one in listed)

    def _tend(self) -> None:
        """Let go of an old file though nobody pushes any more, unless somebody is pushing just now."""
        if self._write.acquire(blocking=False):
            try:
                if self._open is not None and self._open.is_over(self.rotate_at):
                    self._let_go()
                with suppress(OSError):
                    self._look()
            finally:
                self._write.release()

    def state(self) -> SpoolState:
        """How it is: down when it is full or cannot be used."""
        try:
            self.folder.ready()
            held = self.depth().size
        except (OSError, Unavailable) as error:
            return SpoolState("down", getattr(error.__cause__ or error, "strerror", None) or "unreadable")
        if held >= self.most:
            return SpoolState("down", f"full: {held} bytes held")
        return SpoolState("warning" if held > self.most // 2 else "ok", f"{held} bytes held")

    def warnings(self) -> list[str]:
        """None: a file that was synced is kept by this host."""
        return []
