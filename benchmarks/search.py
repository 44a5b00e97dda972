"""Measures the search of what was said in many logs, on both databases.

    python -m benchmarks.search --data FOLDER                   1,000,000 logs
    python -m benchmarks.search --data FOLDER --logs 100000     a first look

Exit status 1: the 95th percentile of a case is over the budget (with --strict), or a case found nothing that must.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sqlite3
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import click

from benchmarks.cluster import ClusterFailed, running_cluster
from benchmarks.search_cases import CASES, Case, Draw
from benchmarks.talk import WORDS, busy_of
from benchmarks.talk_stores import drop_talk, talk_postgres, talk_sqlite
from portal import create_app
from portal.core.database import db
from portal.core.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.stores import Store

BUDGET_MS: Final = 100.0
DATABASES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
WARM_UP: Final = 3


@dataclass(slots=True)
class Timings:
    """How long the searches of one case took, in milliseconds, and how many places they found."""

    case: Case
    took_ms: list[float] = field(default_factory=list)
    found: int = 0

    def at(self, share: float) -> float:
        """The time within which this share of them was answered."""
        took = sorted(self.took_ms)
        return took[min(len(took) - 1, int(share * len(took)))]


@click.command()
@click.option("--logs", type=click.IntRange(200), default=1_000_000, show_default=True, help="Logs stored.")
@click.option(
    "--database",
    "databases",
    type=click.Choice(list(DATABASES)),
    multiple=True,
    default=tuple(DATABASES),
    show_default=True,
)
@click.option("--case", "cases", type=click.Choice(list(CASES)), multiple=True, default=tuple(CASES))
@click.option("--runs", type=click.IntRange(1), default=60, show_default=True, help="Searches of each case.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the databases here for next time.")
@click.option("--postgresql", envvar="BENCHMARK_DATABASE_URL", help="Address of a PostgreSQL to use.")
@click.option("--strict", is_flag=True, help=f"Fail where the 95th percentile is over {BUDGET_MS:g} ms.")
def main(
    logs: int,
    databases: tuple[str, ...],
    cases: tuple[str, ...],
    runs: int,
    data: Path | None,
    postgresql: str | None,
    strict: bool,
) -> None:
    """Measure the search."""
    slow = []
    try:
        with _folder(data) as folder, _server(folder, databases, postgresql) as server:
            click.echo(_head(logs, runs))
            for database in databases:
                store = _store(database, folder, server, logs)
                timings = measure(store, [CASES[name] for name in cases], runs)
                click.echo(f"\n{DATABASES[database]}, {logs:,} logs, {busy_of(logs):,} of them of one user\n")
                click.echo("\n".join(table_of(timings)))
                slow += [f"{database}: {one.case.words}" for one in timings if one.at(0.95) > BUDGET_MS]
                if data is None and database == "postgresql":
                    drop_talk(server or "", logs)
    except ClusterFailed as error:
        raise click.ClickException(str(error)) from None
    if slow and strict:
        raise click.ClickException(f"over {BUDGET_MS:g} ms: {', '.join(slow)}")


def measure(store: Store, cases: list[Case], runs: int) -> list[Timings]:
    """Ask every case so often, in turn, each time with other words and in a transaction of its own."""
    app = create_app(load({}, data_dir=store.data_dir, database_url=store.url, log_level="error", db_timeout_s=120))
    timings = [Timings(case) for case in cases]
    with app.app_context():
        try:
            for number in range(WARM_UP + runs):
                for one in timings:
                    chance = Random(f"{one.case.name} {number}")  # the same words in every run, no secrets
                    wanted = one.case.draw(Draw(chance, store.users))
                    began = time.perf_counter()
                    found = one.case.ask(wanted)
                    took = time.perf_counter() - began
                    # What a search leaves in the audit log is not kept: the next run finds the same database.
                    db.session.rollback()
                    db.session.remove()
                    if number >= WARM_UP:
                        one.took_ms.append(1_000 * took)
                        one.found += found
        finally:
            db.session.remove()
            db.engine.dispose()
    return timings


def table_of(timings: list[Timings]) -> list[str]:
    """The lines of the table."""
    lines = [
        "| case | p50 ms | p95 ms | slowest ms | places a page | p95 under 100 ms |",
        "| ---- | -----: | -----: | ---------: | ------------: | ---------------- |",
    ]
    for one in timings:
        verdict = "yes" if one.at(0.95) < BUDGET_MS else "NO"
        places = one.found / len(one.took_ms)
        figures = f"{one.at(0.5):.1f} | {one.at(0.95):.1f} | {max(one.took_ms):.1f} | {places:.1f}"
        lines.append(f"| {one.case.words} | {figures} | {verdict} |")
    return lines


def _store(database: str, folder: Path, server: str | None, logs: int) -> Store:
    if database == "sqlite":
        return talk_sqlite(folder, logs)
    if server is None:
        raise ClusterFailed("there is no PostgreSQL")
    return talk_postgres(folder, server, logs)


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """Where the databases lie: kept, or gone at the end."""
    with contextlib.ExitStack() as stack:
        if data is None:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="doorward-benchmark-")))
        data = data.absolute()
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(0o711)
        yield data


@contextlib.contextmanager
def _server(folder: Path, databases: tuple[str, ...], given: str | None) -> Iterator[str | None]:
    if "postgresql" not in databases or given:
        yield given
        return
    cores = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
    with running_cluster(folder / "postgresql-server", cores) as address:
        yield address


def _head(logs: int, runs: int) -> str:
    on = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"{on}; {logs:,} logs of {WORDS} made-up words each; {runs} searches a case, each with other words"


if __name__ == "__main__":
    main()
