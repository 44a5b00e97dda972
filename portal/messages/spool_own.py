"""The one file a process writes to: whole lines or none, durable or never written again."""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from portal.core import clock
from portal.messages.spool_folder import SUFFIX, SpoolFolder

if TYPE_CHECKING:
    from pathlib import Path

ROTATE_AT = 16 * 1024 * 1024
# What was said does not stay in a file for longer than this and a flush.
ROTATE_S = 60


@dataclass(slots=True)
class OwnFile:
    """An open file with its lock. `power`: what is durable is on disk. Raises OSError for faults of the disk.

    Whoever puts holds the lock of the spool; anybody may wait for durability.
    """

    file: IO[bytes]
    path: Path
    power: bool
    written: int = 0
    synced: int = 0
    broken: bool = False
    begun: float = field(default_factory=clock.monotonic)
    _sync: threading.Lock = field(default_factory=threading.Lock)

    def is_over(self, rotate_at: int) -> bool:
        """Whether another file is to be begun: this one is large, or old and not empty, or broken."""
        old = self.written > 0 and clock.monotonic() - self.begun > ROTATE_S
        return self.broken or old or self.written > rotate_at

    def in_place(self) -> bool:
        """Whether it still lies where a flush will look for it."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self.file.fileno()))
        except OSError:
            return False

    def put(self, data: bytes) -> None:
        """Write it whole, or cut the file back to where it was; a file that cannot be cut is broken."""
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self.file.fileno(), view) :]
        except OSError:
            try:
                os.ftruncate(self.file.fileno(), self.written)
            except OSError:
                self.broken = True
            raise
        self.written += len(data)

    def make_durable(self, end: int) -> None:
        """Sync up to `end`. Whoever holds the lock syncs for all who wait behind it."""
        if not self.power:
            return
        with self._sync:
            if self.synced >= end:
                return
            if self.broken:
                raise OSError("this file is given up")
            self._sync_all()

    def _sync_all(self) -> None:
        """After a failure the system may take lost pages for written ones: then no later sync proves anything."""
        reached = self.written
        try:
            os.fdatasync(self.file.fileno())
        except OSError:
            self.broken = True
            raise
        self.synced = reached

    def finish(self) -> bool:
        """Close it, all in it durable, so that a flush may remove it. Whoever waits for a sync finds it done.

        False when it is broken: then what nobody was told is accepted is cut off, if that can still be done.
        """
        with self._sync:
            if self.power and self.synced < self.written and not self.broken:
                with suppress(OSError):
                    self._sync_all()
            if self.broken:
                with suppress(OSError):
                    os.ftruncate(self.file.fileno(), self.synced if self.power else self.written)
            self.file.close()
            return not self.broken


def begin_file(folder: SpoolFolder, *, power: bool) -> OwnFile:
    """A new file. It has its name only once it is locked: a flush takes an unlocked one for left and removes it."""
    path = folder.ready() / f"{os.getpid()}-{secrets.token_hex(8)}{SUFFIX}"
    draft = path.with_suffix(".draft")
    file = draft.open("ab", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(path)
        folder.sync()
    except OSError:
        file.close()
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    return OwnFile(file, path, power)
