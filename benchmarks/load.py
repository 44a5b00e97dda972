"""One run of wrk, and what came of it."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cores import pinned

SCRIPT = Path(__file__).with_name("wrk.lua")
RESULT = re.compile(r"^RESULT (.*?) sample=(.*)$", re.M)
# Longer than a statement may wait for a lock: what is slow is to be seen, not to be cut off.
TIMEOUT_S = 10
# wrk waits as long for the answers it timed out on; far beyond any run.
PATIENCE_S = 60
# Stands in bodies where each request is to have a word of its own, as long as that word is (also in wrk.lua).
MARK = f"@@key{'@' * 23}"
VALID, INVALID = '"valid":true', '"valid":false'


class LoadFailed(Exception):
    """wrk is missing or fell over; the text says what to do or what it said."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: always the same head, and one of the bodies at random (none: without a body)."""

    method: str
    path: str
    headers: dict[str, str]
    bodies: list[str]
    unique: bool = False
    """Whether each request carries a key of its own: where its body has the MARK, else as its Idempotency-Key."""
    good: str = VALID
    """What an answer says of each thing that went well."""
    bad: str = INVALID
    """What it says of each that did not."""

    @property
    def text(self) -> str:
        """The file that wrk.lua reads."""
        head = [f"{self.method} {self.path}", self.good, self.bad]
        head += [*(f"{name}: {value}" for name, value in self.headers.items()), ""]
        return "\n".join([*head, *self.bodies, ""])


@dataclass(frozen=True, slots=True)
class Load:
    """What one run measured. `valid` and `invalid` count the good and bad words inside the bodies, `wrong` answers
    outside 200 to 299, `broken` connections lost or timed out; `busy` is the share of its core that wrk needed (0
    without wrk)."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    valid: int
    invalid: int
    wrong: int
    broken: int
    sample: str
    busy: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def slowest_s(self) -> float:
        """How long what was in flight at the end may still take."""
        return self.max_ms / 1000 if self.requests else max(1.0, self.seconds)


def key_of(prefix: str, number: int) -> str:
    """The key of one request, as long as MARK."""
    return f"{prefix}{number:011d}"


def new_prefix() -> str:
    """What the keys of one run begin with, unlike those of any other."""
    return f"{secrets.token_hex(8)}-"


def require_wrk() -> None:
    """Raises LoadFailed with the way to get it."""
    if shutil.which("wrk") is None:
        raise LoadFailed("wrk is not installed: apt-get install wrk (or brew install wrk); --trial does without")


def run_load(port: int, request: Request, *, connections: int, seconds: float, cores: frozenset[int]) -> Load:
    """Send these requests for so long. Raises LoadFailed."""
    whole = seconds >= 1 and seconds == int(seconds)
    with tempfile.TemporaryDirectory(prefix="doorward-load-") as folder:
        file = Path(folder) / "requests"
        file.write_text(request.text)
        file.chmod(0o600)
        command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{int(seconds) if whole else 60}s"]
        command += ["--timeout", f"{TIMEOUT_S}s"]
        command += ["-s", str(SCRIPT), f"http://127.0.0.1:{port}", "--", str(file)]
        command += [new_prefix()] if request.unique else []
        before = os.times()
        with pinned(cores):
            wrk = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            if not whole:
                _interrupt(wrk, seconds)
            said, _ = wrk.communicate(timeout=seconds + PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise LoadFailed("wrk did not end") from None
        finally:
            wrk.kill()
            wrk.wait()
        after = os.times()
    return read_result(said, used=_spent(after) - _spent(before))


def _interrupt(wrk: subprocess.Popen[str], seconds: float) -> None:
    """End it after a part of a second, which it cannot count: interrupted, it tells what it has, once it listens."""
    status = Path(f"/proc/{wrk.pid}/status")
    while wrk.poll() is None and status.exists():
        caught = re.search(r"^SigCgt:\s*(\w+)", status.read_text(), re.M)
        if caught and int(caught[1], 16) >> (signal.SIGINT - 1) & 1:
            break
        time.sleep(0.002)
    time.sleep(seconds)
    wrk.send_signal(signal.SIGINT)


def _spent(times: os.times_result) -> float:
    return times.children_user + times.children_system


def read_result(said: str, *, used: float) -> Load:
    """What wrk.lua told in its RESULT line; `used`: its processor time in seconds. Raises LoadFailed without one."""
    found = RESULT.search(said)
    if found is None:
        raise LoadFailed(f"wrk said:\n{said}")
    told = dict(pair.split("=") for pair in found[1].split())
    lasted = int(told["duration_us"]) / 1e6
    return Load(
        requests=int(told["requests"]),
        seconds=lasted,
        p50_ms=int(told["p50_us"]) / 1000,
        p99_ms=int(told["p99_us"]) / 1000,
        max_ms=int(told["max_us"]) / 1000,
        valid=int(told["valid"]),
        invalid=int(told["invalid"]),
        wrong=int(told["wrong"]),
        broken=int(told["broken"]),
        sample=found[2].strip(),
        busy=used / lasted if lasted else 0.0,
    )
