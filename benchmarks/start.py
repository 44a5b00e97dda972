"""Measures how long `doorward serve` takes from its command to its first answer, and what memory its workers take.

    python -m benchmarks.start

The bound is hello: a bare Flask on the same server, started in turn. Memory is PSS (each shared page counts in shares),
of everything that serves, after some pages and calls; Linux only.
"""

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
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from benchmarks.tables import laid_out
from tests.programs import KEPT, ROOT, TIED
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PRODUCT = ("-m", "portal.cli", "serve")
# Loads nothing but Flask and the server.
BARE = """
import sys
from flask import Flask, jsonify
from granian import Granian
app = Flask("hello")
app.get("/")(lambda: jsonify(hello="world"))
Granian("__main__:app", port=int(sys.argv[2]), interface="wsgi", workers=int(sys.argv[4]), blocking_threads=16,
        log_level="error").serve(target_loader=lambda *_: app)
"""
HELLO = ("-c", BARE)
PAGES = ("/", "/sign-in", "/register", "/status", "/api/v1/openapi.json", "/.well-known/jwks.json")
MOST_S, GOAL_S = 1.0, 0.6
MOST_FIRST_MIB, MOST_FURTHER_MIB = 110, 60
TIMEOUT_S = 30
LOOK_EVERY_S = 0.002


@contextmanager
def started(folder: Path, command: tuple[str, ...], *, workers: int = 1) -> Iterator[tuple[int, int]]:
    """(process, port) of a server that was just asked to start."""
    port = free_port()
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    settings = {"DATA_DIR": str(folder), "SMTP_URL": "none", "LOG_LEVEL": "warning", "PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", TIED, *command, "--port", str(port), "--workers", str(workers)],
        env=kept | settings | {"PYTHONPATH": str(ROOT)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process.pid, port
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def seconds_to_answer(folder: Path, command: tuple[str, ...], path: str) -> float:
    """From the command to the first 200 at this path. Raises ClickException."""
    began = time.monotonic()
    with started(folder, command) as (_, port):
        while time.monotonic() < began + TIMEOUT_S:
            if answers(port, path):
                return time.monotonic() - began
            time.sleep(LOOK_EVERY_S)
    raise click.ClickException(f"{' '.join(command)} did not answer")


def answers(port: int, path: str) -> bool:
    """Whether there is a 200 at this path."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status == 200
    return False


def memory_mib(folder: Path, workers: int) -> float:
    """The memory of all processes of a server with so many workers, in use."""
    with started(folder, PRODUCT, workers=workers) as (pid, port):
        deadline = time.monotonic() + TIMEOUT_S
        while not answers(port, "/health/live") and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
        for _ in range(20 * workers):
            for path in PAGES:
                answers(port, path)
        return sum(pss_kib(Path("/proc") / str(one)) for one in family_of(pid)) / 1024


def family_of(pid: int) -> list[int]:
    """A process and those it began."""
    found = [pid]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid:
                    found.append(int(entry.name))
    return found


def pss_kib(process: Path) -> int:
    """Its memory, with its share of what others use too."""
    told = (process / "smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in told.splitlines() if line.startswith("Pss:"))


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--strict", is_flag=True, help="Exit status 1 where a budget is not met.")
def main(rounds: int, strict: bool) -> None:
    """Measure starts and memory."""
    with tempfile.TemporaryDirectory(prefix="doorward-benchmark-") as made:
        folder = Path(made)
        seconds_to_answer(folder, PRODUCT, "/health/live")  # makes the database
        hello, product = [], []
        for _ in range(rounds):
            hello.append(seconds_to_answer(folder, HELLO, "/"))
            product.append(seconds_to_answer(folder, PRODUCT, "/health/live"))
        first, three = memory_mib(folder, 1), memory_mib(folder, 3)
    further = (three - first) / 2
    took = median(product)
    rows: list[tuple[str, ...]] = [("what", "measured", "of hello", "must", "")]
    rows.append(("hello: command to first answer", f"{median(hello):.2f} s", "1.0", "", ""))
    speed = "goal" if took <= GOAL_S else "met" if took <= MOST_S else "OVER"
    rows.append(
        ("doorward serve, ready database", f"{took:.2f} s", f"{took / median(hello):.1f}", f"{MOST_S} s", speed)
    )
    for words, size, most in (
        ("memory of a server with one worker", first, MOST_FIRST_MIB),
        ("each further worker", further, MOST_FURTHER_MIB),
    ):
        rows.append((words, f"{size:.0f} MiB", "", f"{most} MiB", "met" if size <= most else "OVER"))
    for line in laid_out(rows):
        click.echo(line)
    if strict and any(row[-1] == "OVER" for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
