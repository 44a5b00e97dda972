"""One flusher of a host at a time, and the name by which the server knows that host."""

from __future__ import annotations

import fcntl
import secrets
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from portal.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Characters of a name.
NAME = 16


@contextmanager
def held_consumer(folder: Path) -> Iterator[str | None]:
    """The host's name, kept in this folder, while nobody else of the host flushes; None while somebody does.

    The system frees the lock of a killed one, and the next is given what that one did not finish. Raises Unavailable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / "redis-consumer").open("a+b", buffering=0)
    except OSError as error:
        raise Unavailable from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield _name_in(lock)


def _name_in(lock: IO[bytes]) -> str:
    lock.seek(0)
    name = lock.read().decode("latin-1")
    if len(name) != NAME:
        # A full disk takes no name; then this flush has one of its own, and another host finishes what it leaves.
        name = secrets.token_hex(NAME // 2)
        with suppress(OSError):
            lock.truncate(0)
            lock.write(name.encode())
    return name
