"""Many who do the same at the same moment: threads of this process, or processes against a real server."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import select

from portal.core.database import db
from portal.usage.models import UsageDay
from tests.people import make_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from portal.accounts.models import Account
    from tests.conftest import Machine
    from tests.servers import Server

T = TypeVar("T")
RACER = Path(__file__).with_name("racer.py")
CLIENTS = 50
ONE_WINS = Counter(VALID=1, DAILY_LIMIT_REACHED=CLIENTS - 1)


def race(count: int, call: Callable[[int], T]) -> list[T]:
    """What `call(0)` … `call(count - 1)` answer, all begun at once, each in a thread of its own."""
    start = threading.Barrier(count)

    def run(number: int) -> T:
        start.wait(30)
        return call(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


class Racers:
    """Client processes that wait for the word to post."""

    def __init__(self, server: Server, token: str, processes: list[subprocess.Popen[str]]) -> None:
        self.server, self.token, self.processes = server, token, processes

    def verify(self, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Every process asks one of these questions, all at once. Answers the bodies; each must come with 200."""
        answers = self.post("/api/v1/keys/verify", [json.dumps(body) for body in bodies])
        for status, said in answers:
            assert status == "200", f"{status} {said}\n{self.server.output}"
        return [json.loads(said) for _, said in answers]

    def post(self, path: str, bodies: list[str]) -> list[tuple[str, str]]:
        """Every process posts one of these, JSON or a form, all at once. Answers (status, body) of each."""
        for process, body in zip(self.processes, bodies, strict=True):
            assert process.stdin is not None
            process.stdin.write(f"{self.server.port} {path} {self.token} {body}\n")
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.flush()
        answers = []
        for process in self.processes:
            assert process.stdout is not None
            status, _, said = process.stdout.readline().partition(" ")
            answers.append((status, said))
        return answers


@contextmanager
def racing(server: Server, token: str, count: int) -> Iterator[Racers]:
    """So many client processes of the server."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", str(RACER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield Racers(server, token, processes)
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def ask(gate: Machine, key: str, cost: dict[str, int]) -> dict[str, Any]:
    """The answer to one question, asked in this thread with a client program of its own."""
    asker = type(gate)(gate.client.application.test_client(), gate.token)
    answer = asker.post("/keys/verify", {"key": key, "cost": cost})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.get_json()
    return body


def used_by(user: Account) -> int:
    """What stands in the user's counters."""
    db.session.expire_all()
    return sum(db.session.scalars(select(UsageDay.used).where(UsageDay.user_id == user.id)))


def race_threads(gate: Machine, key_of: Callable[..., str], rounds: int) -> None:
    """Fifty threads want the last unit of ten, each round of another user."""
    for number in range(rounds):
        user = make_account(f"user-{number}", daily_limit_override=10)
        key = key_of(user)
        ask(gate, key, {"conversations": 9})
        codes = race(CLIENTS, lambda _, key=key: ask(gate, key, {"conversations": 1})["code"])  # type: ignore[misc]  # its default binds the key
        assert Counter(codes) == ONE_WINS
        assert used_by(user) == 10


def race_processes(server: Server, token: str, key_of: Callable[..., str], rounds: int) -> None:
    """Fifty processes want the only unit, each round of another user."""
    with racing(server, token, CLIENTS) as racers:
        for number in range(rounds):
            user = make_account(f"user-{number}", daily_limit_override=1)
            answers = racers.verify([{"key": key_of(user)}] * CLIENTS)
            assert Counter(answer["code"] for answer in answers) == ONE_WINS
            assert used_by(user) == 1
