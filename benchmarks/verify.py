"""Measures verify and consume against a bare Flask on the same server, in one run.

    python -m benchmarks.verify --data FOLDER             everything, with 1,000,000 users
    python -m benchmarks.verify --data FOLDER --growth    1,000 users against 1,000,000

Exit status 1: an answer was not what it should be, or the books do not agree with the answers.
"""

from __future__ import annotations

import contextlib
import platform
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks import tables
from benchmarks.books import WrongBooks
from benchmarks.cases import CASES, DEFAULT, GROWING
from benchmarks.cluster import ClusterFailed
from benchmarks.cores import Cores, share_out
from benchmarks.load import LoadFailed, require_wrk
from benchmarks.measuring import Line, Pace, WrongAnswers, run_rounds
from benchmarks.places import data_folder, file_system, postgres_server
from benchmarks.servers import Host, ServerFailed
from benchmarks.stores import Store, drop_postgres, prepare_postgres, prepare_sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = 1_000
TRIAL = "the load is Python's own and slow, its figures say nothing"
DATABASES = ("sqlite", "postgresql")
DURABILITIES = ("process", "power")


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for on the command line."""

    users: int
    databases: tuple[str, ...]
    durabilities: tuple[str, ...]
    workers: tuple[int, ...]
    cases: tuple[str, ...]
    rounds: int
    seconds: float
    warm_up: float
    connections: int
    threads: int
    log_level: str
    postgresql: str | None
    trial: bool

    @property
    def stages(self) -> list[tuple[str, str, int]]:
        """Every (database, durability, workers)."""
        return list(product(self.databases, self.durabilities, self.workers))

    def pace(self, cores: Cores) -> Pace:
        """How long and how hard."""
        return Pace(self.rounds, self.seconds, self.warm_up, self.connections, cores.load, self.trial)

    def host(self, durability: str, workers: int, cores: Cores) -> Host:
        """How everything in a stage is served."""
        settings = {"DURABILITY": durability, "LOG_LEVEL": self.log_level}
        return Host(cores.server, workers, self.threads, settings)


def _several(choices: tuple[str, ...], default: tuple[str, ...]) -> dict[str, Any]:
    return {"type": click.Choice(choices), "multiple": True, "default": default, "show_default": True}


@click.command()
@click.option("--users", type=click.IntRange(100), default=1_000_000, show_default=True, help="Users stored.")
@click.option("--database", "databases", **_several(DATABASES, DATABASES))
@click.option("--durability", "durabilities", **_several(DURABILITIES, DURABILITIES))
@click.option("--workers", type=click.IntRange(1, 64), multiple=True, default=(1,), show_default=True)
@click.option("--case", "cases", **_several(tuple(CASES), DEFAULT))
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Of a case in a round.")
@click.option("--warm-up", type=click.FloatRange(0), default=1.0, show_default=True, help="Seconds before each.")
@click.option("--connections", type=click.IntRange(1), default=12, show_default=True)
@click.option("--threads", type=click.IntRange(2), default=16, show_default=True, help="Of a worker (THREADS).")
@click.option("--log-level", type=click.Choice(["info", "warning"]), default="info", show_default=True)
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the databases here for next time.")
@click.option(
    "--postgresql",
    envvar="BENCHMARK_DATABASE_URL",
    help="Address of a PostgreSQL to use; its account must be allowed to create databases. BENCHMARK_DATABASE_URL too.",
)
@click.option("--trial", is_flag=True, help=f"A first look without wrk: {TRIAL}.")
@click.option("--growth", is_flag=True, help=f"Only: verify with {FEW:,} users and with --users, side by side.")
def main(data: Path | None, growth: bool, **asked: Any) -> None:
    """Measure verify and consume."""
    plan = Plan(**asked)
    try:
        if not plan.trial:
            require_wrk()
        with data_folder(data) as folder, _postgres(plan, folder, kept=data is not None) as server:
            click.echo(_head(plan, folder, server))
            measure = measure_growth if growth else measure_stage
            for database, durability, workers in plan.stages:
                cores = share_out(workers)
                click.echo(f"\n{_stage_words(database, durability, workers)}; {cores.words}{_load_words(plan)}\n")
                for line in measure(plan, folder, server, (database, durability, workers), cores):
                    click.echo(line)
    except (WrongAnswers, WrongBooks, LoadFailed, ServerFailed, ClusterFailed) as error:
        raise click.ClickException(f"{type(error).__name__}: {error}") from None


def measure_stage(plan: Plan, folder: Path, server: str | None, stage: tuple[str, str, int], cores: Cores) -> list[str]:
    """All cases on one database; answers the table."""
    database, durability, workers = stage
    store = _store(database, plan.users, folder, server)
    cases = [CASES[name] for name in CASES if name in plan.cases]
    host = plan.host(durability, workers, cores)
    with contextlib.ExitStack() as stack:
        running = {
            name: stack.enter_context(
                host.serving(name, store.data_dir, DATABASE_URL=store.url) if name == "product" else host.serving(name)
            )
            for name in dict.fromkeys(case.server for case in cases)
        }
        lines = [Line(case, store, running[case.server]) for case in cases]
        run_rounds(lines, plan.pace(cores))
    return tables.stage_table(lines, durability)


def measure_growth(
    plan: Plan, folder: Path, server: str | None, stage: tuple[str, str, int], cores: Cores
) -> list[str]:
    """Few users and many, turn by turn; answers the table."""
    database, durability, workers = stage
    stores = [_store(database, users, folder, server) for users in (FEW, plan.users)]
    host = plan.host(durability, workers, cores)
    with contextlib.ExitStack() as stack:
        few, many = (
            (store, stack.enter_context(host.serving("product", store.data_dir, DATABASE_URL=store.url)))
            for store in stores
        )
        pairs = [(Line(CASES[name], *few), Line(CASES[name], *many)) for name in GROWING]
        run_rounds([line for pair in pairs for line in pair], plan.pace(cores))
    return tables.growth_table(pairs)


def _store(database: str, users: int, folder: Path, server: str | None) -> Store:
    if database == "sqlite":
        return prepare_sqlite(folder, users)
    if server is None:
        raise ClusterFailed("there is no PostgreSQL")
    return prepare_postgres(folder, server, users)


@contextlib.contextmanager
def _postgres(plan: Plan, folder: Path, *, kept: bool) -> Iterator[str | None]:
    """The address of a PostgreSQL, if one is wanted."""
    if "postgresql" not in plan.databases:
        yield None
        return
    with postgres_server(plan.postgresql, folder, share_out(plan.workers[0]).server) as address:
        try:
            yield address
        finally:
            if plan.postgresql and not kept:
                for users in {plan.users, FEW}:
                    drop_postgres(plan.postgresql, users)


def _head(plan: Plan, folder: Path, server: str | None) -> str:
    parts = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in ("granian", "flask"))]
    return (
        f"{', '.join(parts)}; databases on {file_system(folder)}"
        f"{', PostgreSQL elsewhere' if server and plan.postgresql else ''}\n"
        f"{plan.users:,} users, {plan.connections} connections, {plan.threads} threads a worker, LOG_LEVEL="
        f"{plan.log_level}; median of {plan.rounds} rounds of {plan.seconds:g} s, {plan.warm_up:g} s warm-up each"
    )


def _stage_words(database: str, durability: str, workers: int) -> str:
    shown = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[database]
    return f"{shown}, DURABILITY={durability}, {workers} worker{'s' if workers > 1 else ''}"


def _load_words(plan: Plan) -> str:
    """Stands over every table that wrk did not make."""
    return f"; TRIAL: {TRIAL}" if plan.trial else ""


if __name__ == "__main__":
    main()
