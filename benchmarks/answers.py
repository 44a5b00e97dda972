"""Measures whether the time of an answer tells who has an account: doors that anybody may knock at, interleaved.

    python -m benchmarks.answers

Exit status 1: the medians of a door lie more than 10 % and 5 ms apart.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from benchmarks.cores import share_out
from benchmarks.knocking import PASSWORD, Form, people_in
from benchmarks.places import data_folder
from benchmarks.servers import Host

if TYPE_CHECKING:
    from benchmarks.servers import Server
    from benchmarks.stores import Store

USERS = 4000
SORTS = ("there", "missing", "suspended", "deleted", "locked", "no password", "older hash", "unconfirmed")
CHANGES = {
    "suspended": "state = 'suspended'",
    "deleted": "state = 'deleted'",
    "locked": "locked_at = created_at",
    "no password": "password_hash = NULL",
    "unconfirmed": "email_verified_at = NULL",
    "older hash": "password_hash = '$2b$08$' || substr(password_hash, 13)",
}
MOST_APART, MOST_APART_S = 0.10, 0.005
NUMBERS = count()


@dataclass(frozen=True, slots=True)
class Door:
    """Where anybody may knock: the page, what is filled in for a username, and how it answers."""

    path: str
    status: int

    def fields(self, name: str) -> dict[str, str]:
        """What is typed."""
        if self.path == "/register":
            number = next(NUMBERS)
            email = f"{name}@example.org"
            return {"username": f"new-{number}", "email": email, "password": f"{PASSWORD} {number}"}
        return {"name": name, "password": "wrong words here"}


DOORS = {
    "sign in": Door("/sign-in", 422),
    "reset": Door("/forgotten", 200),
    "resend": Door("/confirm", 200),
    "register": Door("/register", 200),
}


def sort_people(store: Store, names: list[str]) -> dict[str, list[str]]:
    """Make some of each sort; answers their names by sort."""
    share = len(names) // len(SORTS)
    sorted_names = {sort: names[number * share : (number + 1) * share] for number, sort in enumerate(SORTS)}
    with contextlib.closing(sqlite3.connect(store.dsn, isolation_level=None)) as connection:
        connection.execute("UPDATE accounts SET email = username || '@example.org', state = 'active', locked_at = NULL")
        connection.execute("UPDATE accounts SET email_canonical = username_canonical || '@example.org'")
        for sort, change in CHANGES.items():
            connection.executemany(
                f"UPDATE accounts SET {change} WHERE username = ?",  # noqa: S608  # constants
                [(name,) for name in sorted_names[sort]],
            )
    return {**sorted_names, "missing": [f"{name}-nobody" for name in sorted_names["missing"]]}


def knock(server: Server, store: Store, door: Door, people: dict[str, list[str]], samples: int) -> dict[str, float]:
    """The median seconds of the answer for each sort, one sample of each in turn, in another order each time."""
    taken = {sort: list[float]() for sort in people}
    with contextlib.closing(Form(server.port, door.path)) as form:
        for number in range(samples + 2):
            for sort in random.sample(sorted(people), len(people)):
                _forget(store)
                name = people[sort][number + 70 * list(DOORS.values()).index(door)]
                answer = form.send(door.fields(name))
                if answer.status != door.status:
                    raise click.ClickException(f"{door.path} answered {answer.status} for an account that is {sort}")
                if number >= 2:  # the first warm up
                    taken[sort].append(answer.seconds)
    return {sort: median(seconds) for sort, seconds in taken.items()}


def _forget(store: Store) -> None:
    """The limits are not what is measured."""
    with contextlib.closing(sqlite3.connect(store.dsn, isolation_level=None, timeout=10)) as connection:
        connection.execute("DELETE FROM failure_counts")


def apart(medians: dict[str, float]) -> tuple[float, float]:
    """(seconds, share of the quickest) by which the slowest is slower."""
    quick, slow = min(medians.values()), max(medians.values())
    return slow - quick, (slow - quick) / quick


@click.command()
@click.option("--samples", type=click.IntRange(1), default=60, show_default=True, help="Of each sort at each door.")
@click.option("--cost", type=click.IntRange(4, 16), default=12, show_default=True, help="BCRYPT_COST.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the database here for next time.")
def main(samples: int, cost: int, data: Path | None) -> None:
    """Measure answers."""
    told = False
    with data_folder(data) as folder:
        store, names = people_in(folder, USERS, cost)
        people = sort_people(store, names)
        settings = {"BCRYPT_COST": str(cost), "CONFIRM_EMAIL": "true", "JOBS": "false"}
        host = Host(share_out(1).server, 1, 16, settings)
        with host.serving("product", store.data_dir, DATABASE_URL=store.url) as server:
            server.resume()
            click.echo(f"cost {cost}, {samples} samples of each sort, medians in ms")
            click.echo("           " + "".join(f"{sort:>13}" for sort in SORTS) + "   apart")
            for name, door in DOORS.items():
                medians = knock(server, store, door, people, samples)
                seconds, share = apart(medians)
                fine = share < MOST_APART or seconds < MOST_APART_S
                told = told or not fine
                row = "".join(f"{medians[sort] * 1000:13.2f}" for sort in SORTS)
                verdict = "met" if fine else "TELLS"
                click.echo(f"{name:11}{row}   {seconds * 1000:.2f} ms, {share * 100:.1f} %   {verdict}")
    if told:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
