"""Clients that push records while their server is killed, each with a ledger of its own to be held against the
database afterwards: what was answered is there exactly once, what was not answered at most once."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO, Any

from sqlalchemy import func, select

from portal.core.database import db
from portal.messages.flush import flush
from portal.messages.models import Conversation, MessageContent, MessageLog, ModelDay, QuarantinedRecord
from tests.races import race
from tests.servers import Caller, Server

CLIENTS = 4
KEPT = {"accepted", "duplicate"}


@dataclass
class Ledger:
    """What a client wrote down before each call and after each answer. Lines of JSON: [word, record id]."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _answers: int = 0
    _reached: threading.Condition = field(default_factory=threading.Condition)

    def note(self, file: IO[str], word: str, ids: list[str]) -> None:
        """Write it down for good."""
        with self._lock:
            file.writelines(json.dumps([word, one]) + "\n" for one in ids)
            file.flush()
        if word == "answered":
            with self._reached:
                self._answers += len(ids)
                self._reached.notify_all()

    def wait_for_answers(self, count: int, timeout: float = 120) -> None:
        """Until so many records were answered since the last call."""
        with self._reached:
            assert self._reached.wait_for(lambda: self._answers >= count, timeout), f"{self._answers} of {count}"
            self._answers = 0

    def read(self) -> tuple[set[str], set[str]]:
        """(all that were sent, all that were answered)."""
        words: dict[str, set[str]] = {"sent": set(), "answered": set()}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                word, one = json.loads(line)
                words[word].add(one)
        return words["sent"], words["answered"]


def record_of(name: str) -> dict[str, Any]:
    """The record of an id: always the same, so that a repeat is one."""
    number = int(name.split("-")[1])
    return {
        "id": name,
        "username": "alice",
        "conversation_id": f"c-{number % 7}",
        "model": f"m-{number % 3}",
        "timestamp": "2026-01-01T00:00:00Z",
        "messages": [{"role": "user", "content": f"record {name} " + "x" * (number * 37 % 2000)}],
    }


def push(caller: Caller, ledger: Ledger, file: IO[str], names: list[str]) -> bool:
    """One call, in the ledger before and after: whether it was taken. Raises when the server is gone."""
    ledger.note(file, "sent", names)
    records = [record_of(name) for name in names]
    status, said = caller.post("/api/v1/message-logs", records[0] if len(records) == 1 else {"records": records})
    assert status in {202, 503}, said
    if status == 202:
        assert {result["status"] for result in said["results"]} <= KEPT, said
        ledger.note(file, "answered", names)
    return status == 202


def push_until_gone(server: Server, token: str, ledger: Ledger, names: list[str]) -> None:
    """Several clients push these, alone and in threes, until all are answered or the server is gone."""
    chance = Random(len(names))

    def client(number: int) -> None:
        caller, mine = server.caller(token), names[number::CLIENTS]
        with ledger.path.open("a") as file:
            while mine:
                part, mine = (mine[:3], mine[3:]) if chance.random() < 0.3 else (mine[:1], mine[1:])
                try:
                    push(caller, ledger, file, part)
                except (OSError, http.client.HTTPException):
                    return
        caller.close()

    race(CLIENTS, client)


@contextmanager
def pushing(server: Server, token: str, ledger: Ledger, names: list[str]) -> Iterator[None]:
    """Clients at work beside the block."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            push_until_gone(server, token, ledger, names)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(120)
    assert not failures, failures
    assert not thread.is_alive()


def settle(server: Server, token: str, ledger: Ledger) -> None:
    """Now that the fault is over: everything is pushed once more and taken, the server ends in order, and the books
    are held against the database."""
    try:
        sent, _ = ledger.read()
        with pushing(server, token, ledger, sorted(sent)):
            pass
        assert server.stop() == 0, server.output
    finally:
        server.kill()
    flush()
    check(ledger)
    sent, answered = ledger.read()
    assert answered == sent


def kill_rounds(server: Server, token: str, ledger: Ledger, *, rounds: int, pushes: int) -> None:
    """So many times: push new records and those not answered before, and kill -9 the server in the middle."""
    chance = Random(rounds)
    for turn in range(rounds):
        server.start()
        sent, answered = ledger.read()
        names = [*sorted(sent - answered), *(f"r{turn}-{number}" for number in range(pushes))]
        with pushing(server, token, ledger, names):
            ledger.wait_for_answers(chance.randint(pushes // 4, pushes * 3 // 4))
            server.kill()


def check(ledger: Ledger) -> None:
    """Hold the ledger against the database."""
    sent, answered = ledger.read()
    db.session.expire_all()
    stored = Counter(db.session.scalars(select(MessageLog.source_id)))
    assert answered <= set(stored), f"lost: {sorted(answered - set(stored))[:5]}"
    assert set(stored) <= sent
    assert set(stored.values()) <= {1}
    assert db.session.scalar(select(func.count()).select_from(QuarantinedRecord)) == 0
    rows = db.session.execute(
        select(MessageLog.source_id, MessageContent.messages).join(
            MessageContent, MessageContent.number == MessageLog.number
        )
    )
    assert {row.source_id: row.messages for row in rows} == {name: record_of(name)["messages"] for name in stored}
    # What is counted along with the records is the sum of them.
    assert db.session.scalar(select(func.sum(ModelDay.logs))) == len(stored)
    assert db.session.scalar(select(func.sum(Conversation.exchanges))) == len(stored)
