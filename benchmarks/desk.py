"""Measures the desk on many users, on both databases: what is typed into the search box, and a record that is opened.

    python -m benchmarks.desk --data FOLDER                    1,000,000 users
    python -m benchmarks.desk --data FOLDER --users 100000     a first look

Each figure is a whole request of somebody signed in, without the network. Exit status 1: the 95th percentile of a case
is over the budget (with --strict), or a case found what it must not, or did not what it must.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final
from uuid import UUID

import click

from benchmarks.cluster import ClusterFailed
from benchmarks.crowd import id_of, secret_of
from benchmarks.places import data_folder, postgres_server
from benchmarks.stores import drop_postgres, prepare_postgres, prepare_sqlite
from portal import create_app
from portal.accounts.directory import account_named
from portal.accounts.models import Admin, StaffMember
from portal.core import access, clock
from portal.core.database import db, transaction
from portal.core.ids import new_hex, new_id
from portal.core.settings import load
from portal.signin.sessions import begin_session
from portal.web.identity import COOKIE_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask.testing import FlaskClient

    from benchmarks.stores import Store
    from portal.web.frame import Doorward

BUDGET_MS: Final = 100.0
DATABASES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
WARM_UP: Final = 3
DESK, CONSOLE = "/staff/suggestions.json", "/admin/search/suggestions.json"


@dataclass(frozen=True, slots=True)
class Case:
    """Something that is typed: how to draw it for a user by number, and how many users it must find at least."""

    words: str
    typed: Callable[[int], str]
    least: int = 1


CASES: Final = (
    Case("username, whole", lambda number: f"user{number:07d}"),
    Case("username, its beginning", lambda number: f"user{number:07d}"[:8]),
    Case("two letters that all begin with", lambda _: "us"),
    Case("part of a username", lambda number: f"{number:07d}"[1:]),
    Case("part of every username", lambda _: "ser"),
    Case("part of a display name", lambda number: f"ser {number}"),
    Case("part of every e-mail address", lambda _: "example", 0),
    Case("part that nobody has", lambda number: f"zq{number}x", 0),
    Case("e-mail address, whole", lambda number: f"user{number:07d}@example.org"),
    Case("e-mail address that nobody has", lambda number: f"user{number:07d}@example.com", 0),
    Case("key, 7 characters", lambda number: secret_of(number)[:7]),
    Case("key, pasted whole", secret_of),
    Case("account ID", lambda number: str(UUID(id_of("user", number)))),
    Case("ID of nothing: refusals, requests, logs", lambda _: new_hex(), 0),
    Case("case number", lambda number: f"C-{number % 900_000 + 100_000}", 0),
)


@dataclass(slots=True)
class Timings:
    """How long the requests of one case took, in milliseconds, and what was wrong with one of them."""

    words: str
    took_ms: list[float] = field(default_factory=list)
    wrong: str = ""

    def at(self, share: float) -> float:
        """The time within which this share of them was answered."""
        took = sorted(self.took_ms)
        return took[min(len(took) - 1, int(share * len(took)))]


@click.command()
@click.option("--users", type=click.IntRange(100), default=1_000_000, show_default=True, help="Users stored.")
@click.option("--database", "databases", type=click.Choice(list(DATABASES)), multiple=True, default=tuple(DATABASES))
@click.option("--runs", type=click.IntRange(1), default=60, show_default=True, help="Requests of each case.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the databases here for next time.")
@click.option("--postgresql", envvar="BENCHMARK_DATABASE_URL", help="Address of a PostgreSQL to use.")
@click.option("--strict", is_flag=True, help=f"Fail where the 95th percentile is over {BUDGET_MS:g} ms.")
def main(
    users: int, databases: tuple[str, ...], runs: int, data: Path | None, postgresql: str | None, strict: bool
) -> None:
    """Measure the desk."""
    faults = []
    try:
        with data_folder(data) as folder, _server(folder, databases, postgresql) as server:
            for database in databases:
                on_file = server is None or database == "sqlite"
                store = prepare_sqlite(folder, users) if on_file else prepare_postgres(folder, server or "", users)
                timings = measure(store, runs)
                click.echo(f"\n{DATABASES[database]}, {users:,} users, {runs} requests a case\n")
                click.echo("\n".join(table_of(timings)))
                faults += [f"{database}: {one.words}: {one.wrong}" for one in timings if one.wrong]
                if strict:
                    faults += [f"{database}: {one.words}: slow" for one in timings if one.at(0.95) > BUDGET_MS]
                if data is None and database == "postgresql":
                    drop_postgres(server or "", users)
    except ClusterFailed as error:
        raise click.ClickException(str(error)) from None
    if faults:
        raise click.ClickException("; ".join(faults))


def measure(store: Store, runs: int) -> list[Timings]:
    """Ask for everything so often, in turn, each time of another user."""
    app = create_app(load({}, data_dir=store.data_dir, database_url=store.url, log_level="error", db_timeout_s=120))
    with app.app_context():
        try:
            desk, console = (_somebody(app, kind) for kind in ("staff", "admin"))
        finally:
            db.session.remove()
    asked: list[tuple[Timings, Callable[[int], str]]] = []
    for case in CASES:
        for who, client, address in (("level 1", desk, DESK), ("admin", console, CONSOLE)):
            asked.append((Timings(f"{case.words} ({who})"), _search(client, address, case)))
    asked.append((Timings("record, opened (level 1)"), _record(desk)))
    chance = Random("desk")  # the same users in every run, no secrets
    for run in range(WARM_UP + runs):
        number = chance.randrange(store.users)
        for timings, ask in asked:
            began = time.perf_counter()
            wrong = ask(number)
            if run >= WARM_UP:
                timings.took_ms.append(1_000 * (time.perf_counter() - began))
                timings.wrong = timings.wrong or wrong
    with app.app_context():
        db.engine.dispose()
    return [timings for timings, _ in asked]


def _search(client: FlaskClient, address: str, case: Case) -> Callable[[int], str]:
    masked = address == DESK

    def ask(number: int) -> str:
        answer = client.get(address, query_string={"q": case.typed(number)})
        found = len(answer.get_json()["hits"]) if answer.status_code == 200 else -1
        # A part of an address finds those who see addresses whole, and nobody else.
        least = 1 if case.least or (not masked and "part of every" in case.words) else 0
        return "" if found >= least and (least or found == 0) else f"{found} found for number {number}"

    return ask


def _record(client: FlaskClient) -> Callable[[int], str]:
    def ask(number: int) -> str:
        answer = client.get(f"/staff/users/{UUID(id_of('user', number))}")
        return "" if answer.status_code == 200 else f"status {answer.status_code}"

    return ask


def table_of(timings: list[Timings]) -> list[str]:
    """The lines of the table."""
    lines = [
        "| case | p50 ms | p95 ms | slowest ms | p95 under 100 ms |",
        "| ---- | -----: | -----: | ---------: | ---------------- |",
    ]
    for one in timings:
        verdict = "yes" if one.at(0.95) < BUDGET_MS else "NO"
        lines.append(f"| {one.words} | {one.at(0.5):.1f} | {one.at(0.95):.1f} | {max(one.took_ms):.1f} | {verdict} |")
    return lines


def _somebody(app: Doorward, kind: str) -> FlaskClient:
    """A browser of somebody of the house who is signed in; the account is made where there is none yet."""
    name = f"benchmark-{kind}"
    account = account_named(name)
    with transaction():
        if account is None:
            names = {"username": name, "username_canonical": name, "state": "active"}
            seen = {"created_at": clock.now(), "last_seen_at": clock.now()}
            facts = {"id": new_id(), **names, **seen}
            rights = sorted(access.PERMISSIONS)
            account = StaffMember(**facts, level=1) if kind == "staff" else Admin(**facts, permissions=rights)
            db.session.add(account)
            db.session.flush()
        secret = begin_session(account, address="127.0.0.1", device="benchmark")
    client = app.test_client()
    with client.session_transaction() as cookie:
        cookie[COOKIE_KEY] = secret
        cookie.permanent = True
    return client


@contextlib.contextmanager
def _server(folder: Path, databases: tuple[str, ...], given: str | None) -> Iterator[str | None]:
    if "postgresql" not in databases:
        yield None
        return
    cores = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
    with postgres_server(given, folder, cores) as address:
        yield address


if __name__ == "__main__":
    main()
