"""A real `doorward serve` for tests: its own port, data folder and process group, gone at the end.

with running_server({"DATABASE_URL": url}) as server:
    token = json.loads(server.command("client", "create", "--name", "gate", "--scope", "keys:verify"))["token"]
    status, body = server.caller(token).post("/api/v1/keys/verify", {"key": key})
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.programs import KEPT, ROOT, Program, run_program, start_program

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = "portal.cli"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
GONE_TIMEOUT_S = 10
PORTS = range(12_000, 32_000)
DEFAULTS = {"BCRYPT_COST": "4", "LOG_LEVEL": "warning", "SMTP_URL": "none", "SITE_NAME": "Doorward"}


class ServerFailed(AssertionError):
    """The server did not come up, or did not go; the text holds what it said."""


def free_port() -> int:
    """A port nobody uses just now, below those the kernel lends to clients: it stays free until a server takes it."""
    while True:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Caller:
    """A client program with one kept connection. Answers (status, JSON body, headers)."""

    port: int
    token: str | None = None
    timeout: float = 30
    connection: http.client.HTTPConnection | None = None

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """One call. Raises OSError or HTTPException when the server goes away under it."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        sent = dict(headers or {})
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        try:
            self.connection.request(method, path, body, sent)
            answer = self.connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def get(self, path: str) -> tuple[int, Any]:
        """GET a JSON answer."""
        status, body, _ = self.request("GET", path)
        return status, json.loads(body)

    def post(self, path: str, value: Any) -> tuple[int, Any]:
        """POST JSON, get JSON."""
        status, body, _ = self.request("POST", path, json.dumps(value).encode(), {"Content-Type": "application/json"})
        return status, json.loads(body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


@dataclass
class Server:
    """One `doorward serve` and what belongs to it. `settings` are names and texts as in the environment."""

    data_dir: Path
    settings: dict[str, str] = field(default_factory=dict)
    workers: int = 1
    port: int = 0
    # What is started with `serve`: the product's own command, or one of the tests around it.
    program: str = COMMAND
    process: Program = field(init=False)

    @property
    def url(self) -> str:
        """Where a browser finds it; the same name as SITE_URL."""
        return f"http://localhost:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the server and of its commands: nothing of this machine's settings gets in."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **DEFAULTS,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATA_DIR": str(self.data_dir),
            **self.settings,
        }

    @property
    def output(self) -> str:
        """All it printed so far."""
        return (self.data_dir / "server.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it (again) and wait until it answers. Raises ServerFailed."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        # A session of its own, so that the whole group can be killed; a folder without a .env.
        self.process = self._begin(self.program, "serve", "--workers", str(self.workers), session=True)
        self.wait_until_live()

    def wait_until_live(self) -> None:
        """Until it answers. Raises ServerFailed."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerFailed(f"the server ended with {self.process.returncode}:\n{self.output}")
            with contextlib.suppress(OSError, http.client.HTTPException), Caller(self.port, timeout=5) as caller:
                if caller.request("GET", "/health/live")[0] == 200:
                    return
            time.sleep(0.05)
        self.kill()
        raise ServerFailed(f"the server did not answer:\n{self.output}")

    def stop(self) -> int:
        """Ask it to end (SIGTERM), wait for it, answer its exit status. Raises ServerFailed when it will not."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"the server did not end:\n{self.output}") from None

    def kill(self) -> None:
        """Kill -9 the whole group at once, as a power cut would. Afterwards nothing of it is left, nor on its port."""
        deadline = time.monotonic() + GONE_TIMEOUT_S
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(self.process.pid, signal.SIGKILL)
                time.sleep(0.005)
        self.process.wait(STOP_TIMEOUT_S)

    def worker_pids(self) -> list[int]:
        """The processes that answer requests, newest last (Linux)."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    words = (entry / "cmdline").read_bytes()
                    if parent == self.process.pid and b"resource_tracker" not in words:
                        found.append(int(entry.name))
        return sorted(found)

    def attempt(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run `doorward …` with the server's environment; `text` is its standard input."""
        return run_program(COMMAND, *arguments, environment=self.environment, folder=self.data_dir, text=text)

    def begin(self, *arguments: str) -> Program:
        """Start `doorward …` and do not wait for it; its output goes to the server's."""
        return self._begin(COMMAND, *arguments)

    def _begin(self, program: str, *arguments: str, session: bool = False) -> Program:
        with (self.data_dir / "server.log").open("ab") as log:
            return start_program(
                program,
                *arguments,
                environment=self.environment,
                folder=self.data_dir,
                out=log,
                session=session,
            )

    def command(self, *arguments: str, text: str = "") -> str:
        """What `doorward …` prints. Raises AssertionError when it fails."""
        done = self.attempt(*arguments, text=text)
        assert done.returncode == 0, f"doorward {' '.join(arguments)}: {done.stderr}\n{done.stdout}"
        return done.stdout

    def make_client(self, *scopes: str, name: str = "gate") -> str:
        """The token of a new service client."""
        named = [word for scope in scopes for word in ("--scope", scope)]
        token: str = json.loads(self.command("client", "create", "--name", name, *named))["token"]
        return token

    def caller(self, token: str | None = None) -> Caller:
        """A client program of this server."""
        return Caller(self.port, token)


@contextmanager
def running_server(settings: dict[str, str] | None = None, *, workers: int = 1) -> Iterator[Server]:
    """A server on a free port, ended with all its processes. DATABASE_URL chooses the database; without it
    SQLite in a temporary DATA_DIR (one that is given is kept, so a second server can go on with it)."""
    given = dict(settings or {})
    with contextlib.ExitStack() as stack:
        folder = given.pop("DATA_DIR", None) or stack.enter_context(tempfile.TemporaryDirectory(prefix="doorward-"))
        server = Server(Path(folder), given, workers, int(given.pop("PORT", "0")))
        for attempt in range(3):
            try:
                server.start()
                break
            except ServerFailed as error:
                # Somebody else took the port between our looking and our listening.
                if "is taken" not in str(error) or attempt == 2:
                    raise
                server.port = 0
        try:
            yield server
        finally:
            with contextlib.suppress(ServerFailed):
                server.stop()
            server.kill()
