"""The folder of spool files: which there are, which are left by a process that is gone, and what lies in one."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from portal.messages.spool_protocol import Line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = structlog.get_logger()
SUFFIX = ".spool"


@dataclass(frozen=True, slots=True)
class Listed:
    """One file: its path, its bytes, and when it was written last, in seconds since the epoch."""

    path: Path
    size: int
    written_at: float


@dataclass(frozen=True, slots=True)
class SpoolFolder:
    """DATA_DIR/spool, shared by all processes of the host. Raises OSError where it cannot be used."""

    path: Path

    def ready(self) -> Path:
        """The folder, made where it is missing."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.path

    def listed(self) -> list[Listed]:
        """All spool files, the one written least recently first; one that goes while we look is left out."""
        found = []
        for path in self.path.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):
                facts = path.stat()
                found.append(Listed(path, facts.st_size, facts.st_mtime))
        return sorted(found, key=lambda one: (one.written_at, one.path.name))

    def sync(self) -> None:
        """Make the names in it durable."""
        here = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(here)
        finally:
            os.close(here)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether this is the only flusher of the host; the system frees the lock of a killed one.

        The folder itself is locked: a full disk has no room for another file.
        """
        here = os.open(self.ready(), os.O_RDONLY)
        try:
            try:
                fcntl.flock(here, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(here)

    def is_left(self, path: Path) -> bool:
        """Whether no process holds the file any more; not so when it is gone."""
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
        except (BlockingIOError, FileNotFoundError):
            return False

    def remove_if_left(self, path: Path, position: int) -> bool:
        """Remove a file that is stored to its end and that no process holds. True when it is gone."""
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


def read_lines(path: Path, position: int, *, left: bool, most_rows: int, most_bytes: int) -> tuple[list[Line], int]:
    """Lines from a position on, and where they end. What has no end is waited for, but cut off a file that is left."""
    lines: list[Line] = []
    end = position
    try:
        with path.open("rb") as file:
            file.seek(position)
            while len(lines) < most_rows and end - position < most_bytes:
                raw = file.readline()
                if raw.endswith(b"\n"):
                    lines.append(Line(f"{path.name}:{end}", raw))
                elif not raw or not left:
                    break
                else:
                    log.warning("spool.torn_tail", file=path.name, bytes=len(raw))
                end += len(raw)
    except FileNotFoundError:
        return [], position
    return lines, end
