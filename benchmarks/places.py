"""Where a benchmark keeps its databases, and the PostgreSQL that it uses."""

from __future__ import annotations

import contextlib
import fcntl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.cluster import running_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def data_folder(data: Path | None) -> Iterator[Path]:
    """Where the databases lie: kept, or gone at the end. One run at a time may have it."""
    with contextlib.ExitStack() as stack:
        if data is None:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="doorward-benchmark-")))
            data.chmod(0o711)
        data = data.absolute()
        data.mkdir(mode=0o711, parents=True, exist_ok=True)
        lock = stack.enter_context((data / "lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException(f"another run is using {data}") from None
        yield data


@contextlib.contextmanager
def postgres_server(address: str | None, folder: Path, cores: frozenset[int]) -> Iterator[str]:
    """The address of a PostgreSQL: the one given, or our own on these cores. What the database needs is then part of
    what a request costs, as it is with SQLite."""
    if address:
        yield address
    else:
        with running_cluster(folder / "postgresql-server", cores) as own:
            yield own


def file_system(folder: Path) -> str:
    """The sort of file system: in memory, nothing is ever synced, and `power` says nothing."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return "an unknown file system"
    found = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    inside = [(place, kind) for place, kind in found if folder.is_relative_to(place)]
    return max(inside, key=lambda pair: len(pair[0]))[1]
