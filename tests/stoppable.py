"""A PostgreSQL of one test, to be stopped hard and started again on the same port with what it had committed."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests import postgres_keeper
from tests.postgres import find_place

if TYPE_CHECKING:
    from collections.abc import Iterator

# What it told somebody is committed, it must have after it was stopped: of its memory nothing is left then.
KEEPING = {"synchronous_commit": "on"}


class StoppablePostgres:
    """Its cluster lies in a folder of this name. Raises SystemExit with what is wrong."""

    def __init__(self, folder: Path) -> None:
        self.place, self.owner = folder / "server", postgres_keeper.find_owner()
        self.programs, password = postgres_keeper.make_cluster(folder, self.owner)
        self.port = 0
        self.start()
        self.url = f"postgresql+psycopg://doorward:{password}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it (again), and wait until it answers."""
        self.server, port = postgres_keeper.start_server(self.programs, self.place, self.owner, self.port, **KEEPING)
        assert port == (self.port or port), "somebody else took the port"
        self.port = port

    def stop_hard(self) -> None:
        """End it at once: nothing is finished, nobody is told."""
        self.server.send_signal(signal.SIGQUIT)
        self.server.wait()


@contextmanager
def stoppable_postgres() -> Iterator[StoppablePostgres]:
    """A running one, gone at the end with its folder."""
    folder = Path(tempfile.mkdtemp(prefix="doorward-stoppable-", dir=find_place()))
    try:
        made = StoppablePostgres(folder)
        try:
            yield made
        finally:
            with contextlib.suppress(ProcessLookupError):
                made.stop_hard()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(postgres_keeper.borrowed_programs(folder), ignore_errors=True)
