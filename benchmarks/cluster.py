"""A PostgreSQL of the benchmark's own, kept in its data folder, with PostgreSQL's own care for what it stores.

The tests' server gives up every safety for speed (tests/postgres_keeper.py); this one gives up none.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.cores import pinned
from tests import postgres_keeper as keeper

if TYPE_CHECKING:
    import pwd
    from collections.abc import Iterator

START_TIMEOUT_S: Final = 60
OPTIONS: Final = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "max_wal_size": "4GB",
    "shared_buffers": "512MB",
    "timezone": "UTC",
    "unix_socket_directories": "",
    "log_checkpoints": "off",
}


class ClusterFailed(Exception):
    """PostgreSQL did not start; the text says why."""


@contextmanager
def running_cluster(place: Path, cores: frozenset[int]) -> Iterator[str]:
    """The address of an account that may create databases, while the server runs on these cores."""
    owner = keeper.find_owner()
    place.mkdir(mode=0o711, parents=True, exist_ok=True)
    if owner is not None:
        os.chown(place, owner.pw_uid, owner.pw_gid)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, keeper.borrowed_programs(place), ignore_errors=True)
        with pinned(cores), _quiet():
            programs = keeper.find_programs(place, place, owner)
            password = _create(place, programs, owner)
            process, port = _start(place, programs, owner)
        stack.callback(process.wait)
        stack.callback(process.send_signal, signal.SIGINT)
        yield f"postgresql+psycopg://doorward:{password}@127.0.0.1:{port}/postgres"


@contextmanager
def _quiet() -> Iterator[None]:
    """What programs print meanwhile is not part of a table."""
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _create(place: Path, programs: Path, owner: pwd.struct_passwd | None) -> str:
    """The password of the cluster, which is made when there is none."""
    note = place / "password"
    if (place / "data" / "PG_VERSION").exists():
        return note.read_text()
    shutil.rmtree(place / "data", ignore_errors=True)
    password = secrets.token_urlsafe(24)
    note.touch(mode=0o600)
    note.write_text(password)
    if owner is not None:
        os.chown(note, owner.pw_uid, owner.pw_gid)
    initdb: list[str | Path] = [programs / "initdb", "--pgdata", place / "data", "--username", "doorward"]
    initdb += ["--pwfile", note, "--auth", "password", "--encoding", "UTF8", "--no-instructions"]
    initdb += ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    with (place / "initdb.log").open("wb") as log:
        made = _run(initdb, place, owner, log.fileno()).wait()
    if made != 0:
        raise ClusterFailed(f"initdb failed:\n{(place / 'initdb.log').read_text()}")
    return password


def _start(place: Path, programs: Path, owner: pwd.struct_passwd | None) -> tuple[subprocess.Popen[bytes], int]:
    port = keeper.find_port()
    command: list[str | Path] = [programs / "postgres", "-D", place / "data", "-p", str(port)]
    for option, value in OPTIONS.items():
        command += ["-c", f"{option}={value}"]
    with (place / "server.log").open("wb") as log:
        process = _run(command, place, owner, log.fileno())
    deadline = time.monotonic() + START_TIMEOUT_S
    note = place / "data" / "postmaster.pid"
    while process.poll() is None and time.monotonic() < deadline:
        lines = note.read_text().splitlines() if note.exists() else []
        # A server that was killed has left its own note.
        if len(lines) > 7 and lines[0].strip() == str(process.pid) and lines[7].strip() == "ready":
            return process, port
        time.sleep(keeper.POLL_S)
    process.kill()
    process.wait()
    raise ClusterFailed(f"PostgreSQL did not start:\n{(place / 'server.log').read_text()[-4000:]}")


def _run(command: list[str | Path], place: Path, owner: pwd.struct_passwd | None, log: int) -> subprocess.Popen[bytes]:
    """Start a program of PostgreSQL as its owner, to end when we do."""
    return subprocess.Popen(
        command,
        cwd=place,
        env=keeper.ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        user=None if owner is None else owner.pw_uid,
        group=None if owner is None else owner.pw_gid,
        extra_groups=None if owner is None else [],
        preexec_fn=keeper.die_with_parent,
        start_new_session=True,
    )
