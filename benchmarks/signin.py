"""Measures sign-ins against the bare hash, and what a burst of them leaves to everybody else, in one run.

    python -m benchmarks.signin

The bound is what bcrypt alone does in as many threads as may hash at once. The burst are more people than find a place;
who finds none is told to come again.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import bcrypt
import click

from benchmarks.apps import PARSE_PATH
from benchmarks.cases import CASES
from benchmarks.cores import Cores, pinned, share_out
from benchmarks.knocking import PASSWORD, Form, people_in
from benchmarks.load import require_wrk, run_load
from benchmarks.places import data_folder
from benchmarks.servers import Host
from portal.signin.hashing import AT_ONCE
from portal.signin.passwords import prepared

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.load import Load
    from benchmarks.servers import Server
    from benchmarks.stores import Store

USERS = 1000
CONNECTIONS = 12
MUST_RATE, MUST_KEPT, MUST_P99_MS = 0.8, 0.5, 20


class Round(NamedTuple):
    """What one round measured: hashes and sign-ins a second, how many were told to wait, the load alone and beside."""

    bound: float
    rate: float
    busy: int
    alone: Load
    beside: Load


def bare_hashes(seconds: float, cost: int, cores: frozenset[int]) -> float:
    """How many hashes a second bcrypt alone checks on the server's cores."""
    stored = bcrypt.hashpw(prepared(PASSWORD), bcrypt.gensalt(cost))

    def check(until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            bcrypt.checkpw(prepared(PASSWORD), stored)
            done += 1
        return done

    with pinned(cores), ThreadPoolExecutor(AT_ONCE) as pool:
        begun = time.perf_counter()
        done = sum(pool.map(check, [begun + seconds] * AT_ONCE))
        return done / (time.perf_counter() - begun)


class Burst:
    """People who sign in one after the other, all at once, until the end of the block."""

    def __init__(self, server: Server, names: list[str], people: int) -> None:
        self.names, self.numbers, self.over = names, count(), threading.Event()
        self.done: list[float] = []
        self.busy = 0
        self.forms = [Form(server.port, "/sign-in") for _ in range(people)]
        self.threads = [threading.Thread(target=self._sign_in, args=(form,)) for form in self.forms]

    def __enter__(self) -> Burst:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()
        for form in self.forms:
            form.close()

    def _sign_in(self, form: Form) -> None:
        while not self.over.is_set():
            name = self.names[next(self.numbers) % len(self.names)]
            answer = form.send({"name": name, "password": PASSWORD})
            if answer.status == 302:
                self.done.append(time.perf_counter())
            elif answer.status == 429:
                self.busy += 1
                self.over.wait(2)  # as long as the answer says
            else:
                raise click.ClickException(f"signing in answered {answer.status}")


def measure(server: Server, store: Store, names: list[str], load: Callable[[], Load], plan: dict[str, float]) -> Round:
    """One round: the bound, sign-ins alone, the load alone, both at once."""
    seconds, cost, people = plan["seconds"], int(plan["cost"]), int(plan["people"])
    bound = bare_hashes(seconds, cost, share_out(1).server)
    server.resume()
    with Burst(server, names, AT_ONCE + 2) as burst:  # as many as find a place
        time.sleep(2)  # until the queue stands
        begun = time.perf_counter()
        time.sleep(seconds)
        ended = time.perf_counter()
    rate = sum(begun <= moment < ended for moment in burst.done) / (ended - begun)
    alone = load()
    with Burst(server, names, people) as crowd:
        time.sleep(1)
        beside = load()
    server.pause()
    return Round(bound, rate, burst.busy + crowd.busy, alone, beside)


def tell(rounds: list[Round], cores: Cores, cost: int, people: int) -> list[str]:
    """The table."""
    rate = median(one.rate / one.bound for one in rounds)
    kept = median(one.beside.rate / one.alone.rate for one in rounds)
    p99 = median(one.beside.p99_ms for one in rounds)
    return [
        f"cost {cost}, {AT_ONCE} at once on this machine, {people} in the burst; {cores.words}; {len(rounds)} rounds",
        "",
        f"bare hashes          {median(one.bound for one in rounds):8.2f} /s",
        f"sign-ins             {median(one.rate for one in rounds):8.2f} /s   {rate:5.2f} of the bound"
        f"   (must {MUST_RATE})   {'met' if rate >= MUST_RATE else 'UNDER'}",
        f"API route alone      {median(one.alone.rate for one in rounds):8,.0f} /s   p99"
        f" {median(one.alone.p99_ms for one in rounds):6.2f} ms",
        f"API route in a burst {median(one.beside.rate for one in rounds):8,.0f} /s   p99 {p99:6.2f} ms"
        f"   {kept:5.2f} kept   (must {MUST_KEPT}, {MUST_P99_MS} ms)"
        f"   {'met' if kept >= MUST_KEPT and p99 <= MUST_P99_MS else 'UNDER'}",
        f"told to come again   {sum(one.busy for one in rounds):8d}",
    ]


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.5), default=8.0, show_default=True, help="Of each part of a round.")
@click.option("--cost", type=click.IntRange(4, 16), default=12, show_default=True, help="BCRYPT_COST.")
@click.option("--people", type=click.IntRange(1), default=20, show_default=True, help="Who sign in during the burst.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the database here for next time.")
def main(rounds: int, seconds: float, cost: int, people: int, data: Path | None) -> None:
    """Measure sign-ins."""
    require_wrk()
    cores = share_out(1)
    with data_folder(data) as folder:
        store, names = people_in(folder, USERS, cost)
        host = Host(cores.server, 1, 16, {"BCRYPT_COST": str(cost)})
        with host.serving("product", store.data_dir, DATABASE_URL=store.url) as server:
            request = CASES["parse"].request(store)
            done = []
            for _ in range(rounds):
                done.append(
                    measure(
                        server,
                        store,
                        names,
                        lambda: run_load(
                            server.port, request, connections=CONNECTIONS, seconds=seconds, cores=cores.load
                        ),
                        {"seconds": seconds, "cost": cost, "people": people},
                    )
                )
    click.echo(f"API route: POST {PARSE_PATH}")
    for line in tell(done, cores, cost, people):
        click.echo(line)


if __name__ == "__main__":
    main()
