"""A real PostgreSQL for the tests: one server for a whole test run, one database for whoever asks.

    with PostgresServer.open() as server:
        server.prepare_template(migrate)    # once a run, whichever worker comes first
        url = server.create_database()      # a copy of the template, in some hundredths of a second
        server.drop_database(url)

`TEST_DATABASE_URL` names a server to use instead; its account must be allowed to create databases.

The server belongs to a keeper (postgres_keeper.py), a process that waits for the lock that every worker holds
in shared mode. The kernel frees the lock however a worker ends, so the keeper gets it when the last one has
gone, stops the server and removes its folder, after kill -9 of all of them too.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

if TYPE_CHECKING:
    from collections.abc import Callable

START_TIMEOUT_S: Final = 60
ROOM: Final = 2 * 1024**3
PREFIX: Final = "doorward_test_"
KEEPER: Final = Path(__file__).with_name("postgres_keeper.py")


class ServerFailed(RuntimeError):
    """The server did not start; the text holds what it said."""


@functools.cache
def run_name() -> str:
    """A name that all workers of one test run share and no other run has."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"{os.getpid()}-{secrets.token_hex(4)}"


class PostgresServer:
    """A PostgreSQL server as one worker sees it: a context manager, not to be shared between threads."""

    def __init__(self, address: str, run: str, lock: IO[str] | None = None) -> None:
        """`address`: of an account that may create databases; `lock`: keeps the run's own server alive."""
        self.url: URL = make_url(address).set(drivername="postgresql+psycopg")
        self.run = hashlib.sha256(run.encode()).hexdigest()[:12]
        self.template: str | None = None
        self._lock = lock
        self._made: set[str] = set()
        self._connection = psycopg.connect(self._dsn(self.url), autocommit=True)

    @classmethod
    def open(cls) -> Self:
        """The server that `TEST_DATABASE_URL` names, else this test run's own, which the first worker starts.

        Errors: ServerFailed.
        """
        run = run_name()
        given = os.environ.get("TEST_DATABASE_URL")
        if given:
            return cls(given, run)
        lock, address = join_server(run)
        return cls(address, run, lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave. What this worker made goes, and with the last worker the template, or the whole server."""
        if self._lock is not None:
            self._connection.close()
            self._lock.close()
            return
        for name in sorted(self._made):
            self._drop(name)
        if self.template is not None:
            # The lock stands for "in use"; whoever can have it alone is the last.
            self._execute("SELECT pg_advisory_unlock_shared(%s)", self._key("use"))
            if self._ask("SELECT pg_try_advisory_lock(%s)", self._key("use")):
                self._execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(sql.Identifier(self.template)))
                self._drop(self.template)
            self.template = None
        self._connection.close()

    def prepare_template(self, fill: Callable[[str], None]) -> None:
        """Have `fill(url)` bring one database to where every new one begins; done once in a test run.

        `fill` must leave no connection open. Later calls, of any worker, wait for the first and do nothing.
        """
        if self.template is not None:
            return
        template = f"{PREFIX}{self.run}_template"
        identifier = sql.Identifier(template)
        self._execute("SELECT pg_advisory_lock(%s)", self._key("make"))
        try:
            self._execute("SELECT pg_advisory_lock_shared(%s)", self._key("use"))
            ready = self._ask("SELECT datistemplate FROM pg_database WHERE datname = %s", template)
            if not ready:
                self._drop(template)
                self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(identifier))
                fill(self._address(template))
                # Closed to all, so that a stray connection cannot stop it from being copied.
                self._execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false IS_TEMPLATE true").format(identifier))
            self.template = template
        finally:
            self._execute("SELECT pg_advisory_unlock(%s)", self._key("make"))

    def create_database(self, like: str | None = None) -> str:
        """The URL (postgresql+psycopg://…) of a new database: a copy of the template, empty without one; or of the
        database at the URL `like`, to which nobody may be connected.
        """
        name = f"{PREFIX}{self.run}_{secrets.token_hex(6)}"
        template = make_url(like).database if like else self.template
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        self._execute(command.format(sql.Identifier(name), sql.Identifier(template or "template0")))
        self._made.add(name)
        return self._address(name)

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, whoever is still connected to it."""
        name = make_url(url).database or ""
        if name not in self._made:
            raise ValueError(f"{name!r} was not made here")
        self._drop(name)
        self._made.discard(name)

    def _address(self, name: str) -> str:
        return self.url.set(database=name).render_as_string(hide_password=False)

    @staticmethod
    def _dsn(url: URL) -> str:
        return url.set(drivername="postgresql").render_as_string(hide_password=False)

    def _key(self, purpose: str) -> int:
        digest = hashlib.sha256(f"{self.run} {purpose}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    def _execute(self, query: str | sql.Composed, *values: object) -> None:
        self._connection.execute(query.encode() if isinstance(query, str) else query, values or None)

    def _ask(self, query: str, *values: object) -> object:
        row = self._connection.execute(query.encode(), values).fetchone()
        return None if row is None else row[0]

    def _drop(self, name: str) -> None:
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def join_server(run: str) -> tuple[IO[str], str]:
    """The held lock and the address of this run's server, started if nobody has yet. Errors: ServerFailed."""
    folder = find_place() / f"doorward-postgres-{os.getuid()}-run-{run}"
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise ServerFailed(f"{folder} belongs to somebody else")
        using = hold(folder / "using", fcntl.LOCK_SH)
        if using is None:
            continue
        starting = hold(folder / "starting", fcntl.LOCK_EX)
        if starting is None:
            using.close()
            continue
        with starting:
            note = folder / "address"
            if not note.exists():
                start_keeper(folder)
            return using, note.read_text()


def find_place() -> Path:
    """Where the server's folder is to lie: in memory where there is room, for a new database is 300 small files."""
    memory = Path("/dev/shm")  # noqa: S108  # the folder made in it is our own
    if "TMPDIR" not in os.environ and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM:
        return memory
    return Path(tempfile.gettempdir())


def hold(path: Path, mode: int) -> IO[str] | None:
    """This file, locked; None when the keeper removed it while we waited: a lock on it would say nothing."""
    try:
        file = path.open("a")
    except FileNotFoundError:
        return None
    fcntl.flock(file, mode)
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
            return file
    file.close()
    return None


def start_keeper(folder: Path) -> None:
    """Start the keeper and wait until it has written the server's address. Errors: ServerFailed."""
    trouble = folder / "trouble"
    with trouble.open("w") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-I", KEEPER, folder],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Its own session: Ctrl-C in the terminal is for the tests, and the keeper cleans up after them.
            start_new_session=True,
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (folder / "address").exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            said = trouble.read_text() if trouble.exists() else ""
            keeper.kill()
            keeper.wait()
            shutil.rmtree(folder, ignore_errors=True)
            raise ServerFailed(f"PostgreSQL did not start:\n{said}")
        time.sleep(0.02)
    # It outlives us on purpose; this tells Python not to complain of a child that was never waited for.
    keeper.returncode = 0
