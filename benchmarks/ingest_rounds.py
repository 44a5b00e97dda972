"""Rounds of pushing: hello, single pushes, their flush alone, batches with their flush, and the raw limits."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from benchmarks.cases import Case
from benchmarks.cores import pinned
from benchmarks.ledger import check_ledger, read_ledger, stored, wait_until_stored
from benchmarks.measuring import check_answers
from benchmarks.pushes import BATCH, push_many, push_one
from benchmarks.raw_limits import Limits, measure_limits
from portal import create_app
from portal.core.database import db
from portal.core.settings import load
from portal.messages.flush import flush

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.load import Load
    from benchmarks.measuring import Pace
    from benchmarks.servers import Host, Server
    from benchmarks.stores import Store

ONE = Case("one", "push of one record of 2 KB", "product", push_one, units=1)
MANY = Case("many", f"pushes of {BATCH}, flush included", "product", push_many, units=BATCH)
# What may still wait when a flood counts as stored: a chunk or two, for the last are stored only at the next turn.
REST_BYTES = 1_000_000


@dataclass(slots=True)
class Rounds:
    """What was measured, one of each a round. Rates are records per second."""

    hello: list[Load] = field(default_factory=list)
    one: list[Load] = field(default_factory=list)
    flushed: list[float] = field(default_factory=list)
    many: list[Load] = field(default_factory=list)
    many_stored: list[float] = field(default_factory=list)
    limits: list[Limits] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and how hard: one database, one durability."""

    store: Store
    host: Host
    pace: Pace
    folder: Path
    durability: str
    rows: int

    @contextmanager
    def serving(self, *, jobs: str) -> Iterator[Server]:
        """The product on this store, awake, with its clock or without."""
        settings = {"DATABASE_URL": self.store.url, "JOBS": jobs, "SPOOL_MAX_BYTES": str(4 * 1024**3)}
        with self.host.serving("product", self.store.data_dir, **settings) as server:
            server.resume()
            yield server


def run_rounds(bench: Bench, hello: Server, front: Case) -> Rounds:
    """Measure all in turn. Raises WrongAnswers, WrongBooks, LoadFailed."""
    found = Rounds()
    for number in range(1, bench.pace.rounds + 1):
        hello.resume()
        found.hello.append(bench.pace.run(hello.port, front.request(bench.store))[-1])
        hello.pause()
        load, rate = _push_singly(bench)
        found.one.append(load)
        found.flushed.append(rate)
        load, rate = _push_batches(bench)
        found.many.append(load)
        found.many_stored.append(rate)
        power = bench.durability == "power"
        with pinned(bench.host.cores):
            found.limits.append(measure_limits(bench.store, bench.folder, bench.rows, power=power))
        one, many, raw = found.one[-1].rate, found.many_stored[-1], found.limits[-1].plain
        words = f"one {one:,.0f}/s, flush {found.flushed[-1]:,.0f}/s, many {many:,.0f}/s, raw {raw:,.0f}/s"
        click.echo(f"  round {number} of {bench.pace.rounds}: {words}", err=True)
    return found


def _push_singly(bench: Bench) -> tuple[Load, float]:
    """Pushes while nobody flushes, and then the flush alone, on the server's core."""
    before = read_ledger(bench.store)
    with bench.serving(jobs="off") as server:
        runs = bench.pace.run(server.port, ONE.request(bench.store))
        for run in runs:
            check_answers(ONE, run)
        time.sleep(max(run.slowest_s for run in runs))
        server.pause()
        rate = flush_all(bench)
    accepted = sum(run.valid for run in runs)
    check_ledger(before, read_ledger(bench.store), accepted=accepted, in_flight=len(runs) * bench.pace.connections)
    return runs[-1], rate


def flush_all(bench: Bench) -> float:
    """Store what lies in the spool, here; answers records per second."""
    own = {"DURABILITY": bench.durability, "DATABASE_URL": bench.store.url}
    app = create_app(load(own, folder=bench.folder, data_dir=bench.store.data_dir, log_level="error"))
    with app.app_context():
        try:
            with pinned(bench.host.cores):
                began = time.perf_counter()
                done = flush()
                return done.stored / (time.perf_counter() - began)
        finally:
            db.session.remove()
            db.engine.dispose()


def _push_batches(bench: Bench) -> tuple[Load, float]:
    """Batches while the same process flushes them: records stored per second, until nearly all are."""
    before = read_ledger(bench.store)
    request = MANY.request(bench.store)
    with bench.serving(jobs="on") as server:
        pace = bench.pace
        runs = [pace.send(server.port, request, pace.warm_up)] if pace.warm_up else []
        wait_until_stored(bench.store)
        held, began = stored(bench.store), time.perf_counter()
        runs.append(pace.send(server.port, request, pace.seconds))
        for run in runs:
            check_answers(MANY, run)
        with pinned(bench.pace.load_cores):
            wait_until_stored(bench.store, left=REST_BYTES)
        rate = (stored(bench.store) - held) / (time.perf_counter() - began)
        wait_until_stored(bench.store)
    accepted, in_flight = sum(run.valid for run in runs), len(runs) * bench.pace.connections * BATCH
    check_ledger(before, read_ledger(bench.store), accepted=accepted, in_flight=in_flight)
    return runs[-1], rate
