"""The spool: where accepted records wait, durably, for the next flush.

One append-only file per process, held by a file lock. A line is a checksum and a JSON object. Under
DURABILITY=power a record is on disk (fdatasync) before anybody is told it was accepted; those who push at
the same moment share one sync.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import orjson

from portal.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portal.core.settings import Settings

SUFFIX = ".spool"
ROTATE_AT = 16 * 1024 * 1024
Ids = dict[tuple[str, str], bytes]


class Spool(Protocol):
    """Somewhere that keeps records until they are flushed."""

    def append(self, records: list[dict[str, Any]]) -> None:
        """Keep the records durably, or raise Unavailable and keep none."""

    def known(self, client_id: str, source_id: str) -> bytes | None:
        """The digest of a record this spool holds, by its client and id."""

    def depth(self) -> int:
        """Bytes that wait."""


def line_of(record: dict[str, Any]) -> bytes:
    """One line: CRC-32 of the JSON in hex, a space, the JSON."""
    body = orjson.dumps(record)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def read_line(line: bytes) -> dict[str, Any] | None:
    """The record of a line, or None for a torn or damaged one."""
    if not line.endswith(b"\n") or line[8:9] != b" ":
        return None
    body = line[9:-1]
    try:
        if int(line[:8], 16) != zlib.crc32(body):
            return None
        record = orjson.loads(body)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


@dataclass(slots=True)
class _Open:
    file: IO[bytes]
    path: Path
    written: int = 0
    synced: int = 0


def _in_place(here: _Open) -> bool:
    """Whether the file still lies where a flush will look for it."""
    try:
        return os.path.samestat(here.path.stat(), os.fstat(here.file.fileno()))
    except OSError:
        return False


class FileSpool:
    """The spool in DATA_DIR/spool: this process's own file for writing, all files of the host for reading."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.data_dir / "spool"
        self.power = settings.durability == "power"
        self.most = settings.spool_max_bytes
        # A file goes only when it is full and stored, so a small spool needs small files.
        self.rotate_at = min(ROTATE_AT, self.most // 4)
        self._pid = 0
        self._open: _Open | None = None
        self._ids: Ids = {}
        self._write = threading.Lock()
        self._sync = threading.Lock()

    def ready_folder(self) -> Path:
        """The folder, made where it is missing. Raises OSError when it cannot be used."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.folder

    def append(self, records: list[dict[str, Any]]) -> None:
        """Keep the records durably, or raise Unavailable and acknowledge none."""
        data = b"".join(line_of(record) for record in records)
        try:
            with self._write:
                here = self._own_file()
                if self.depth() + len(data) > self.most:
                    raise Unavailable
                self._put(here, data)
                end = here.written
            self._make_durable(here, end)
        except OSError as error:
            raise Unavailable from error
        for record in records:
            self._ids[(record["client_id"], record["source_id"])] = bytes.fromhex(record["digest"])

    def _put(self, here: _Open, data: bytes) -> None:
        """Write it whole, or cut the file back to where it was."""
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(here.file.fileno(), view) :]
        except OSError:
            os.ftruncate(here.file.fileno(), here.written)
            raise
        here.written += len(data)

    def _make_durable(self, here: _Open, end: int) -> None:
        """Sync up to `end`. Whoever holds the lock syncs for all who wait behind it."""
        if not self.power:
            return
        with self._sync:
            if here.synced >= end:
                return
            reached = here.written
            os.fdatasync(here.file.fileno())
            here.synced = reached

    def _own_file(self) -> _Open:
        """This process's file; after a fork, or when it grew large or is gone from its place, a new one."""
        here, fresh = self._open, self._pid != os.getpid()
        if here is not None and not fresh and here.written <= self.rotate_at and _in_place(here):
            return here
        made = self._begin_file()
        if fresh:
            self._ids = dict(self._ids_of_orphans())
        elif here is not None:
            self._finish(here)
        self._open, self._pid = made, os.getpid()
        return made

    def _begin_file(self) -> _Open:
        """A new file. It has its name only once it is locked: a flush takes an unlocked one for left and removes it."""
        path = self.ready_folder() / f"{os.getpid()}-{secrets.token_hex(8)}{SUFFIX}"
        draft = path.with_suffix(".draft")
        file = draft.open("ab", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(path)
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError:
            file.close()
            raise
        return _Open(file, path)

    def _finish(self, old: _Open) -> None:
        """Let go of a full file once all in it is durable, so that the flush may remove it.

        Those who wait for their sync of it find it done, and do not touch the closed file.
        """
        with self._sync:
            if self.power and old.synced < old.written:
                os.fdatasync(old.file.fileno())
            old.synced = old.written
            old.file.close()

    def close(self) -> None:
        """Let go of this process's file, so that a flush may remove it. A later append begins another one."""
        with self._write:
            if self._open is not None and self._pid == os.getpid():
                self._finish(self._open)
                self._open = None

    def _ids_of_orphans(self) -> Iterator[tuple[tuple[str, str], bytes]]:
        for path in self.files():
            try:
                lines = path.read_bytes().splitlines(keepends=True)
            except FileNotFoundError:
                continue  # stored and removed meanwhile
            for line in lines:
                record = read_line(line) or {}
                try:
                    key, digest = (record["client_id"], record["source_id"]), bytes.fromhex(record["digest"])
                    hash(key)
                except (KeyError, TypeError, ValueError):
                    continue  # the flush will set it aside
                yield key, digest

    def known(self, client_id: str, source_id: str) -> bytes | None:
        """The digest of a record that waits here, by its client and id. Raises Unavailable."""
        if self._pid != os.getpid():
            with self._write:
                try:
                    self._own_file()
                except OSError as error:
                    raise Unavailable from error
        return self._ids.get((client_id, source_id))

    def forget(self, flushed: list[tuple[str, str]]) -> None:
        """Drop ids that the database knows now."""
        for key in flushed:
            self._ids.pop(key, None)

    def files(self) -> list[Path]:
        """All spool files of the host, oldest first."""
        return [path for _, path, _ in self._listed()]

    def depth(self) -> int:
        """Bytes in all files of the host, stored or not yet removed."""
        return sum(size for _, _, size in self._listed())

    def _listed(self) -> list[tuple[int, Path, int]]:
        """Age, path and size of each file; one that is removed while we look is left out."""
        found = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):
                facts = path.stat()
                found.append((facts.st_mtime_ns, path, facts.st_size))
        return sorted(found)

    def remove_if_left(self, path: Path, position: int) -> bool:
        """Remove a file that is stored to its end and that no process holds."""
        if self._open is not None and path == self._open.path and self._pid == os.getpid():
            return False
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_size > position:
                    return False
                path.unlink()
                return True
        except BlockingIOError:
            return False
        except FileNotFoundError:
            return True

    def is_left(self, path: Path) -> bool:
        """Whether no process holds the file any more."""
        if self._open is not None and path == self._open.path and self._pid == os.getpid():
            return False
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
        except (BlockingIOError, FileNotFoundError):
            return False


_spools: dict[Path, FileSpool] = {}
_making = threading.Lock()


def spool_of(settings: Settings) -> FileSpool:
    """The spool of this process for these settings."""
    with _making:
        if settings.data_dir not in _spools:
            _spools[settings.data_dir] = FileSpool(settings)
        return _spools[settings.data_dir]
