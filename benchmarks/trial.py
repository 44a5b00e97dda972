"""A first look without wrk: the load is Python's own and slow, its figures say nothing. The smoke tests use it."""

from __future__ import annotations

import contextlib
import http.client
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

from benchmarks.cores import pinned
from benchmarks.load import MARK, TIMEOUT_S, Load, Request, key_of, new_prefix

# Of an answer's body, as in wrk.lua.
SAMPLE_LENGTH = 400


@dataclass(slots=True)
class Tally:
    """What one connection saw, counted as Load counts it."""

    latencies_ms: list[float] = field(default_factory=list)
    valid: int = 0
    invalid: int = 0
    wrong: int = 0
    broken: int = 0
    sample: str = ""

    def add(self, request: Request, status: int, body: bytes, began: float) -> None:
        """Count one whole answer to what was sent at this time of the monotonic clock."""
        refused = body.count(request.bad.encode())
        wrong = not 200 <= status <= 299
        self.latencies_ms.append((time.monotonic() - began) * 1000)
        self.valid += body.count(request.good.encode())
        self.invalid += refused
        self.wrong += wrong
        if not self.sample and (refused or wrong):
            self.sample = f"{status} {' '.join(body[:SAMPLE_LENGTH].decode(errors='replace').split())}"


def run_trial(port: int, request: Request, *, connections: int, seconds: float, cores: frozenset[int]) -> Load:
    """As run_load, with a thread a connection. Each sends at least one request and waits for its last answer."""
    started = time.monotonic()
    with pinned(cores), ThreadPoolExecutor(connections) as pool:
        sending = [pool.submit(_send, port, request, started + seconds) for _ in range(connections)]
        tallies = [sent.result() for sent in sending]
    return _summed(tallies, seconds=time.monotonic() - started)


def _send(port: int, request: Request, deadline: float) -> Tally:
    """One request after the other on one connection, which is made anew when it breaks."""
    tally = Tally()
    bodies = [body.encode() for body in request.bodies]
    marked, prefix = any(MARK in body for body in request.bodies), new_prefix()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)) as connection:
        for number in count(1):
            key = key_of(prefix, number)
            headers = {"Idempotency-Key": key} if request.unique and not marked else {}
            body = random.choice(bodies or [None])
            if body is not None and marked:
                body = body.replace(MARK.encode(), key.encode())
            began = time.monotonic()
            try:
                connection.request(request.method, request.path, body, request.headers | headers)
                answer = connection.getresponse()
                tally.add(request, answer.status, answer.read(), began)
            except (OSError, http.client.HTTPException):
                tally.broken += 1
                connection.close()
            if time.monotonic() >= deadline:
                break
    return tally


def _summed(tallies: list[Tally], *, seconds: float) -> Load:
    latencies = sorted(latency for tally in tallies for latency in tally.latencies_ms)
    return Load(
        requests=len(latencies),
        seconds=seconds,
        p50_ms=_percentile(latencies, 0.50),
        p99_ms=_percentile(latencies, 0.99),
        max_ms=_percentile(latencies, 1),
        valid=sum(tally.valid for tally in tallies),
        invalid=sum(tally.invalid for tally in tallies),
        wrong=sum(tally.wrong for tally in tallies),
        broken=sum(tally.broken for tally in tallies),
        sample=next((tally.sample for tally in tallies if tally.sample), ""),
        # wrk needed nothing of its core, and the table is not to speak of it.
        busy=0.0,
    )


def _percentile(latencies: list[float], share: float) -> float:
    """Of sorted latencies; 0 when there are none, as with wrk."""
    return latencies[min(int(len(latencies) * share), len(latencies) - 1)] if latencies else 0.0
