"""What ENCRYPT_MESSAGES costs: microseconds of processor time for each record, in this process, on SQLite.

    python -m benchmarks.sealing

Records of 2 KB. "Without" and "sealed" are turns of one run; a record is pushed in batches of 100 through the API and
flushed from the spool of files.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click
import orjson
from sqlalchemy import select

from portal import create_app
from portal.accounts.models import User
from portal.clients.service import create_client
from portal.core.access import operator_actor
from portal.core.data_keys import held_keys
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.core.settings import load
from portal.demo.seed import seed_demo
from portal.messages.flush import flush
from portal.messages.sealing import open_content, open_words, seal_content, seal_words
from portal.messages.spool import spool_of
from portal.migrating import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.web.frame import Doorward

BATCH = 100
USERS = 20
SAID = "the quick brown fox jumps over the lazy dog and comes back at night. "


def words_of(number: int) -> dict[str, Any]:
    """2 KB of messages."""
    half = (SAID * 15)[:960]
    messages = [{"role": "user", "content": f"{number} {half}"}, {"role": "assistant", "content": half}]
    return {"messages": messages, "extra": None}


def each(count: int, work: Callable[[int], object]) -> float:
    """Microseconds that one takes."""
    started = time.process_time()
    for number in range(count):
        work(number)
    return (time.process_time() - started) / count * 1e6


def measure_steps(user_id: Any, count: int) -> dict[str, float]:
    """Each step alone; the key is unwrapped once, as in a flush, but where it says so."""
    ids = [new_id() for _ in range(count)]
    words = [words_of(number) for number in range(count)]
    seal_words(user_id, ids[0], words[0])  # makes the key
    lines = [seal_words(user_id, ids[at], words[at]) for at in range(count)]
    told = {"write and read JSON, for comparison": each(count, lambda at: orjson.loads(orjson.dumps(words[at])))}
    told["seal a line at a push, with its user's key read"] = each(
        count, lambda at: seal_words(user_id, ids[at], words[at])
    )
    with held_keys():
        sealed = [seal_content(user_id, ids[at], words[at]) for at in range(count)]
        told["open a line at a flush"] = each(count, lambda at: open_words(user_id, ids[at], lines[at]))
        told["seal a row at a flush"] = each(count, lambda at: seal_content(user_id, ids[at], words[at]))
        told["open a row to read it"] = each(count, lambda at: open_content(user_id, ids[at], sealed[at]))
    return told


def measure_round(app: Doorward, token: str, names: list[str], count: int, run: str) -> tuple[float, float]:
    """(microseconds of a push, of a flush) for each record."""
    client, taken = app.test_client(), 0.0
    for first in range(0, count, BATCH):
        records = [
            {"id": f"{run}-{at}", "username": names[at % len(names)], "messages": words_of(at)["messages"]}
            for at in range(first, first + BATCH)
        ]
        body = orjson.dumps({"records": records})
        started = time.process_time()
        answer = client.post(
            "/api/v1/message-logs",
            data=body,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        taken += time.process_time() - started
        if answer.status_code != 202 or answer.get_json()["accepted"] != BATCH:
            raise click.ClickException(answer.text[:300])
    started = time.process_time()
    with app.app_context():
        stored = flush().stored
    if stored != count:
        raise click.ClickException(f"stored {stored} of {count}")
    return taken / count * 1e6, (time.process_time() - started) / count * 1e6


@click.command()
@click.option("--records", type=click.IntRange(BATCH, 1_000_000), default=2_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True)
def main(records: int, rounds: int) -> None:
    """Measure and print."""
    records -= records % BATCH
    with tempfile.TemporaryDirectory(prefix="doorward-") as folder:
        given = {"data_dir": Path(folder), "log_level": "error", "smtp_url": "none", "durability": "process"}
        apps = [create_app(load({}, folder=Path(folder), encrypt_messages=on, **given)) for on in (False, True)]
        migrate(apps[0])
        with apps[0].app_context():
            seed_demo(users=USERS, logs=0, seed=1)
            with transaction():
                _, token = create_client(operator_actor(), name="load", scopes=["logs:write"])
            users = db.session.execute(select(User.id, User.username).where(User.state == "active")).all()
            steps = measure_steps(users[0].id, records)
        for words, taken in steps.items():
            click.echo(f"{words:50} {taken:7.1f}")
        names = [user.username for user in users]
        turns: dict[str, list[tuple[float, float]]] = {"without": [], "sealed": []}
        for turn in range(rounds):
            for app, kind in zip(apps, turns, strict=True):
                turns[kind].append(measure_round(app, token, names, records, f"{kind}-{turn}"))
        for at, what in enumerate(("push", "flush")):
            for kind, found in turns.items():
                click.echo(f"{f'{what} a record, {kind}':50} {median(one[at] for one in found):7.1f}")
        for app in apps:
            with app.app_context():
                spool_of(app.extensions["settings"]).close()
                db.session.remove()
                db.engine.dispose()


if __name__ == "__main__":
    main()
