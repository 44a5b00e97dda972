"""Servers that are started pinned to their cores and stand still while another one is measured."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cores import pinned
from tests.programs import KEPT, ROOT, TIED
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 3
STOP_TRIES = 3


class ServerFailed(Exception):
    """A server did not come up; the text holds what it said."""


@dataclass
class Server:
    """One running server. `name` is that of the function in benchmarks/apps.py, without `make_`."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    output: Path

    def wait_until_live(self, path: str) -> None:
        """Until it answers 200 at this path. Raises ServerFailed."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerFailed(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                try:
                    connection.request("GET", path)
                    if connection.getresponse().status == 200:
                        return
                finally:
                    connection.close()
            time.sleep(0.05)
        raise ServerFailed(f"{self.name} did not answer:\n{self.tail()}")

    def tail(self) -> str:
        """The last of what it printed."""
        return self.output.read_text(errors="replace")[-4000:]

    def pause(self) -> None:
        """Stand still, jobs and all, so that whoever is measured now has the core."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Go on."""
        os.killpg(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it, if need be hard."""
        with contextlib.suppress(ProcessLookupError):
            self.resume()
        for _ in range(STOP_TRIES):
            # Just awake, a thread that has no ear for it may get the signal; then it is sent again.
            time.sleep(0.1)
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_TIMEOUT_S)
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass(frozen=True)
class Host:
    """How everything in one stage is served."""

    cores: frozenset[int]
    workers: int
    threads: int
    settings: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def serving(self, name: str, data_dir: Path | None = None, **settings: str) -> Iterator[Server]:
        """A server of `benchmarks.apps:make_NAME`, standing still until it is asked to resume."""
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="doorward-benchmark-")))
            port = free_port()
            words = ["-m", "benchmarks.serving", f"benchmarks.apps:make_{name}", "--port", str(port)]
            words += ["--workers", str(self.workers), "--threads", str(self.threads)]
            kept = {key: os.environ[key] for key in KEPT if key in os.environ}
            # Nothing of this machine's settings gets in; the folder holds no .env.
            environment = kept | {
                "PYTHONPATH": str(ROOT),
                "DATA_DIR": str(data_dir or folder),
                "PORT": str(port),
                "THREADS": str(self.threads),
                "SMTP_URL": "none",
                **self.settings,
                **settings,
            }
            output = folder / "server.log"
            with output.open("wb") as log, pinned(self.cores):
                process = subprocess.Popen(
                    [sys.executable, "-c", TIED, *words],
                    env=environment,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            server = Server(name, port, process, output)
            stack.callback(server.stop)
            server.wait_until_live("/health/live" if name == "product" else "/")
            server.pause()
            yield server
