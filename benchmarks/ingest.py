"""Measures pushes and their flush against a bare Flask and against what database and disk give, in one run.

    python -m benchmarks.ingest                  both databases, both durabilities
    python -m benchmarks.ingest --data FOLDER    on the disk of this folder

Exit status 1: an answer was not what it should be, or a record that was accepted is not stored once.
"""

from __future__ import annotations

import contextlib
import platform
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.books import WrongBooks
from benchmarks.cases import CASES
from benchmarks.cluster import ClusterFailed
from benchmarks.cores import Cores, share_out
from benchmarks.ingest_rounds import MANY, ONE, Bench, Rounds, run_rounds
from benchmarks.load import LoadFailed, require_wrk
from benchmarks.measuring import Pace, WrongAnswers
from benchmarks.places import data_folder, file_system, postgres_server
from benchmarks.servers import Host, ServerFailed
from benchmarks.sizes import read_sizes
from benchmarks.stores import Store, drop_postgres, prepare_postgres, prepare_sqlite
from benchmarks.tables import laid_out, spread_of, verdict_of
from benchmarks.verify import DATABASES, DURABILITIES, TRIAL

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE_BUDGET = (0.40, 0.55)
MANY_BUDGET = (0.35, 0.50)
HEAD = (
    "what",
    "records/s",
    "p50 ms",
    "p99 ms",
    "of hello",
    "of raw",
    "of raw with search",
    "spread",
    "must / goal",
    "",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for on the command line."""

    users: int
    databases: tuple[str, ...]
    durabilities: tuple[str, ...]
    rounds: int
    seconds: float
    warm_up: float
    connections: int
    threads: int
    rows: int
    postgresql: str | None
    trial: bool

    def pace(self, cores: Cores) -> Pace:
        """How long and how hard."""
        return Pace(self.rounds, self.seconds, self.warm_up, self.connections, cores.load, self.trial)


def _several(choices: tuple[str, ...]) -> dict[str, Any]:
    return {"type": click.Choice(choices), "multiple": True, "default": choices, "show_default": True}


@click.command()
@click.option("--users", type=click.IntRange(100), default=10_000, show_default=True, help="Users stored.")
@click.option("--database", "databases", **_several(DATABASES))
@click.option("--durability", "durabilities", **_several(DURABILITIES))
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Of pushing in a round.")
@click.option("--warm-up", type=click.FloatRange(0), default=1.0, show_default=True, help="Seconds before each.")
@click.option("--connections", type=click.IntRange(1), default=12, show_default=True)
@click.option("--threads", type=click.IntRange(2), default=16, show_default=True, help="Of the worker (THREADS).")
@click.option("--rows", type=click.IntRange(1_000), default=20_000, show_default=True, help="For each raw limit.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Where the databases are made, and go.")
@click.option("--postgresql", envvar="BENCHMARK_DATABASE_URL", help="Address of a PostgreSQL to use, as in verify.")
@click.option("--trial", is_flag=True, help=f"A first look without wrk: {TRIAL}.")
def main(data: Path | None, **asked: Any) -> None:
    """Measure pushes and their flush."""
    plan, cores = Plan(**asked), share_out(1)
    try:
        if not plan.trial:
            require_wrk()
        with data_folder(data) as folder, _server(plan, folder, cores) as server:
            click.echo(_head(plan, folder))
            for database, durability in product(plan.databases, plan.durabilities):
                words = f"{database}, DURABILITY={durability}, 1 worker; {cores.words}"
                click.echo(f"\n{words}{f'; TRIAL: {TRIAL}' if plan.trial else ''}\n")
                for line in measure(plan, folder, server, database, durability):
                    click.echo(line)
    except (WrongAnswers, WrongBooks, LoadFailed, ServerFailed, ClusterFailed) as error:
        raise click.ClickException(f"{type(error).__name__}: {error}") from None


def measure(plan: Plan, folder: Path, server: str | None, database: str, durability: str) -> list[str]:
    """All on one database that is made for it; answers two tables."""
    cores = share_out(1)
    host = Host(cores.server, 1, plan.threads, {"DURABILITY": durability})
    with _store(plan, folder, server, database) as store, host.serving("hello") as hello:
        bench = Bench(store, host, plan.pace(cores), store.data_dir, durability, plan.rows)
        found = run_rounds(bench, hello, CASES["hello"])
        return [*ingest_table(found), "", *read_sizes(store).table()]


def ingest_table(found: Rounds) -> list[str]:
    """Pushes, flush and raw limits; one line each."""
    raw, indexed = [one.plain for one in found.limits], [one.indexed for one in found.limits]
    appended = [one.appended for one in found.limits]
    of_hello = _ratios([load.rate for load in found.one], [load.rate for load in found.hello])
    of_raw = _ratios(found.many_stored, indexed)  # like with like: the same rows in the same tables
    rows: list[tuple[str, ...]] = [HEAD]
    rows.append(("hello: bare Flask, JSON", *_loads(found.hello, [load.rate for load in found.hello]), *[""] * 6))
    rows.append(
        (
            *(ONE.words, *_loads(found.one, [load.rate for load in found.one]), f"{_middle(of_hello):.3f}", "", ""),
            *(spread_of(of_hello, _middle(of_hello)), _budget(ONE_BUDGET), _said(found.one, of_hello, ONE_BUDGET)),
        )
    )
    rows.append(("flush alone", _number(found.flushed), "", "", "", *_both(found.flushed, raw, indexed), "", "", ""))
    rows.append(
        (
            *(MANY.words, *_loads(found.many, found.many_stored), "", *_both(found.many_stored, raw, indexed)),
            *(spread_of(of_raw, _middle(of_raw)), _budget(MANY_BUDGET), _said(found.many, of_raw, MANY_BUDGET)),
        )
    )
    rows.append(("raw: words in one table", _number(raw), *[""] * 8))
    rows.append(("raw: all rows, indexes, search", _number(indexed), *[""] * 8))
    rows.append(("raw: append and fdatasync", _number(appended), *[""] * 8))
    return laid_out(rows)


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0


def _ratios(own: list[float], its: list[float]) -> list[float]:
    return [one / other for one, other in zip(own, its, strict=True) if other]


def _number(values: list[float]) -> str:
    return f"{_middle(values):,.0f}"


def _loads(loads: list[Any], rates: list[float]) -> tuple[str, str, str]:
    return (
        _number(rates),
        f"{_middle([load.p50_ms for load in loads]):.2f}",
        f"{_middle([load.p99_ms for load in loads]):.2f}",
    )


def _both(rates: list[float], raw: list[float], indexed: list[float]) -> tuple[str, str]:
    return f"{_middle(_ratios(rates, raw)):.3f}", f"{_middle(_ratios(rates, indexed)):.3f}"


def _budget(budget: tuple[float, float]) -> str:
    return f"{budget[0]:.2f} / {budget[1]:.2f}"


def _said(loads: list[Any], ratios: list[float], budget: tuple[float, float]) -> str:
    return verdict_of(_middle(ratios), budget, max(load.busy for load in loads))


@contextlib.contextmanager
def _server(plan: Plan, folder: Path, cores: Cores) -> Iterator[str | None]:
    if "postgresql" not in plan.databases:
        yield None
    else:
        with postgres_server(plan.postgresql, folder, cores.server) as address:
            yield address


@contextlib.contextmanager
def _store(plan: Plan, folder: Path, server: str | None, database: str) -> Iterator[Store]:
    """A database of its own, gone at the end: what one case leaves is not to slow the next."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="ingest-") as own:
        if database == "sqlite":
            yield prepare_sqlite(Path(own), plan.users)
        elif server is None:
            raise ClusterFailed("there is no PostgreSQL")
        else:
            try:
                yield prepare_postgres(Path(own), server, plan.users)
            finally:
                drop_postgres(server, plan.users)


def _head(plan: Plan, folder: Path) -> str:
    parts = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in ("granian", "flask"))]
    return (
        f"{', '.join(parts)}; databases on {file_system(folder)}\n"
        f"{plan.users:,} users, {plan.connections} connections, {plan.threads} threads; median of {plan.rounds} rounds "
        f"of {plan.seconds:g} s, {plan.warm_up:g} s warm-up each; {plan.rows:,} rows for each raw limit"
    )


if __name__ == "__main__":
    main()
