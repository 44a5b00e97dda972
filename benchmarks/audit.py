"""Entries of the audit log sealed a second, and what the sealer costs those who sign in, on both databases.

    python -m benchmarks.audit

A sign-in here is all that one writes (session, browser, audit entry) and nothing of the hash, which would hide the
rest; "beside" is with a sealer that comes by every two seconds. Turns of one run, medians.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click
from sqlalchemy import create_engine, make_url, select, text

from benchmarks.cluster import running_cluster
from benchmarks.places import data_folder
from portal import create_app
from portal.accounts.models import Account
from portal.audit import events
from portal.audit.record import record
from portal.audit.sealing import seal_entries
from portal.core.access import operator_actor
from portal.core.actor import nobody
from portal.core.database import db, transaction
from portal.core.settings import load
from portal.demo.seed import seed_demo
from portal.migrating import migrate
from portal.signin.devices import Browser
from portal.signin.entry import admit

if TYPE_CHECKING:
    from uuid import UUID

    from portal.web.frame import Doorward

SEAL_EVERY_S = 2
ENTERING = 2
USERS = 20


def sealed_a_second(app: Doorward, entries: int) -> float:
    """Leave so many entries, then seal them all."""
    with app.app_context():
        seal_entries()
        with transaction():
            for _ in range(entries):
                record(operator_actor(), events.JOB_STARTED, None, {"job": "a_job"})
        begun = time.perf_counter()
        sealed = seal_entries()
        return sealed / (time.perf_counter() - begun)


def entered_a_second(app: Doorward, ids: list[UUID], seconds: float, *, sealer: bool) -> float:
    """Sign-ins a second in ENTERING threads."""
    over, counts = threading.Event(), [0] * ENTERING

    def enter(number: int) -> None:
        while not over.is_set():
            with app.app_context(), transaction():
                account = db.session.get_one(Account, ids[(counts[number] * ENTERING + number) % len(ids)])
                admit(nobody("192.0.2.7"), account, Browser("benchmark"), method="password")
            counts[number] += 1

    def seal() -> None:
        while not over.wait(SEAL_EVERY_S):
            with app.app_context():
                seal_entries()

    threads = [threading.Thread(target=enter, args=(number,)) for number in range(ENTERING)]
    threads += [threading.Thread(target=seal)] if sealer else []
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    over.set()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - begun)


def measure(name: str, url: str, folder: Path, entries: int, seconds: float, rounds: int) -> None:
    """Measure on one database and print."""
    app = create_app(load({}, folder=folder, data_dir=folder, database_url=url, log_level="error", smtp_url="none"))
    migrate(app)
    with app.app_context():
        seed_demo(users=USERS, logs=0, seed=1)
        wanted = select(Account.id).where(Account.kind == "user", Account.state == "active")
        ids = list(db.session.scalars(wanted))
    speed = median(sealed_a_second(app, entries) for _ in range(rounds))
    click.echo(f"{f'{name}: entries sealed a second':50} {speed:8.0f}")
    turns: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for sealer, found in turns.items():
            found.append(entered_a_second(app, ids, seconds, sealer=sealer))
    alone, beside = median(turns[False]), median(turns[True])
    click.echo(f"{f'{name}: sign-ins a second, alone':50} {alone:8.0f}")
    click.echo(f"{f'{name}: sign-ins a second, beside the sealer':50} {beside:8.0f}")
    click.echo(f"{f'{name}: ratio':50} {beside / alone:8.2f}")
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@click.command()
@click.option("--entries", type=click.IntRange(100, 1_000_000), default=5_000, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=6.0, show_default=True)
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option("--only", type=click.Choice(["sqlite", "postgresql"]), help="One database only.")
def main(entries: int, seconds: float, rounds: int, only: str | None) -> None:
    """Measure and print."""
    with data_folder(None) as folder:
        if only != "postgresql":
            measure("SQLite", f"sqlite:///{folder / 'audit.sqlite3'}", folder, entries, seconds, rounds)
        if only == "sqlite":
            return
        with running_cluster(folder / "postgresql-server", frozenset(os.sched_getaffinity(0))) as address:
            server = create_engine(address, isolation_level="AUTOCOMMIT")
            with server.connect() as connection:
                connection.execute(text("CREATE DATABASE audit"))
            server.dispose()
            url = make_url(address).set(database="audit").render_as_string(hide_password=False)
            measure("PostgreSQL", url, folder, entries, seconds, rounds)


if __name__ == "__main__":
    main()
