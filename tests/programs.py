"""Programs of ours as processes: forked from one that has loaded everything (tests/loader.py), so that each starts in a
fraction of the time. It ends with this process, and they with it, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "TZ")
LOOK_EVERY_S = 0.005
# Becomes the program named in its arguments, which the kernel kills when the test process dies, however that dies.
TIED = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@dataclass
class Program:
    """A process that was started, with what tests ask of a `subprocess.Popen`."""

    pid: int
    end: Path
    returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit status (minus the signal that ended it), None while it runs."""
        if self.returncode is None:
            with contextlib.suppress(FileNotFoundError):
                self.returncode = int(self.end.read_text())
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The same, once it has ended. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(LOOK_EVERY_S)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Loader:
    """The process that has loaded everything."""

    def __init__(self) -> None:
        self.ends = Path(tempfile.mkdtemp(prefix="doorward-loader-"))
        self.channel, theirs = socket.socketpair()
        self.lock = threading.Lock()
        command = ["-m", "tests.loader", str(theirs.fileno()), str(self.ends)]
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-c", TIED, *command],
                env={name: os.environ[name] for name in KEPT if name in os.environ} | {"PYTHONPATH": str(ROOT)},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        atexit.register(self.close)

    def start(self, order: dict[str, object], files: list[int]) -> Program:
        """Start a program."""
        with self.lock:
            socket.send_fds(self.channel, [json.dumps(order).encode()], files)
            number = int(self.channel.recv(64))
        return Program(number, self.ends / str(number))

    def close(self) -> None:
        """End it and all it started."""
        self.channel.close()
        self.process.wait()
        shutil.rmtree(self.ends, ignore_errors=True)


@cache
def loader() -> Loader:
    """The one of this process."""
    return Loader()


def start_program(
    program: str,
    *arguments: str,
    environment: dict[str, str],
    folder: Path,
    out: IO[bytes],
    errors: IO[bytes] | None = None,
    typed: IO[bytes] | None = None,
    session: bool = False,
) -> Program:
    """Start the module `program` as `python -m` would; `session` puts it into a session of its own."""
    order: dict[str, object] = {
        "program": program,
        "arguments": arguments,
        "environment": environment,
        "folder": str(folder),
        "session": session,
    }
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  # no Path has it
        files = [(typed or nothing).fileno(), out.fileno(), (errors or out).fileno()]
        return loader().start(order, files)


def run_program(
    program: str, *arguments: str, environment: dict[str, str], folder: Path, text: str = "", timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run one to its end; `text` is what is typed. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryFile() as typed, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        typed.write(text.encode())
        typed.seek(0)
        started = start_program(
            program, *arguments, environment=environment, folder=folder, out=out, errors=errors, typed=typed
        )
        try:
            status = started.wait(timeout)
        finally:
            started.kill()
        out.seek(0)
        errors.seek(0)
        said, complained = out.read().decode(), errors.read().decode()
    return subprocess.CompletedProcess([program, *arguments], status, said, complained)
