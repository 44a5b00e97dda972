"""A server killed under callers who repeat what was not answered: each call is spent once, none that was answered is
lost."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.usage.credits import grant_credits
from portal.usage.models import CreditBalance, CreditEntry, UsageDay
from tests.conftest import Machine
from tests.people import make_account
from tests.servers import Server

CALLERS, CALLS, KILLS = 4, 40, 2
JSON = {"Content-Type": "application/json"}


def ask(server: Server, token: str, body: bytes, name: str) -> tuple[bytes, bool]:
    """The answer to a call of this name, asked again until there is one; and whether it was told before."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException), server.caller(token) as caller:
            headers = {**JSON, "Idempotency-Key": name}
            status, said, told = caller.request("POST", "/api/v1/keys/verify", body, headers)
            if status == 200:
                return said, "idempotent-replayed" in told
            assert status == 503, said
        time.sleep(0.02)
    raise AssertionError(f"no answer in a minute:\n{server.output}")


def spend_while_killed(
    server: Server, token: str, key: str, *, callers: int, calls: int, kills: int
) -> dict[str, bytes]:
    """Many callers spend by named calls while the server is killed; all answers by name."""
    body = json.dumps({"key": key, "cost": {"conversations": 1, "credits": 2}}).encode()
    answers: dict[str, bytes] = {}

    def call(number: int) -> None:
        for _ in range(calls):
            name = f"{number}-{uuid4()}"
            answers[name] = ask(server, token, body, name)[0]

    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for kill in range(1, kills + 1):
        while len(answers) < callers * calls * kill // (kills + 1) and any(thread.is_alive() for thread in threads):
            time.sleep(0.005)
        server.kill()
        server.start()
    for thread in threads:
        thread.join(120)
    assert len(answers) == callers * calls, server.output
    for name, answer in list(answers.items())[:: max(1, calls // 10)]:
        assert ask(server, token, body, name) == (answer, True)
    return answers


def check_books(user: Account, answers: dict[str, bytes], granted: int) -> None:
    """Every answered call is spent once: the counter, the balance and the ledger say so."""
    valid = [json.loads(answer) for answer in answers.values()]
    assert {answer["code"] for answer in valid} == {"VALID"}
    assert sorted(answer["daily"]["used"] for answer in valid) == list(range(1, len(answers) + 1))
    db.session.expire_all()
    assert db.session.scalars(select(UsageDay.used).where(UsageDay.user_id == user.id)).all() == [len(answers)]
    balance = db.session.get_one(CreditBalance, user.id)
    booked = db.session.scalar(select(func.sum(CreditEntry.amount)).where(CreditEntry.user_id == user.id))
    assert balance.own_credits == booked == granted - 2 * len(answers)


@pytest.mark.slow
def test_a_call_repeated_after_a_kill_is_spent_once(
    served: Server, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice", daily_limit_override=100_000)
    with transaction():
        grant_credits(operator_actor().because("a test"), alice.id, 100_000)
    key, token = key_of(alice), machine("keys:verify").token or ""
    answers = spend_while_killed(served, token, key, callers=CALLERS, calls=CALLS, kills=KILLS)
    check_books(alice, answers, 100_000)


def test_a_kept_answer_survives_a_restart(
    served: Server, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    key, token = key_of(make_account("alice")), machine("keys:verify").token or ""
    body = json.dumps({"key": key}).encode()
    first = ask(served, token, body, "retry-1")
    served.stop()
    served.start()
    assert (first[1], ask(served, token, body, "retry-1")) == (False, (first[0], True))
    with served.caller(token) as caller:
        other = json.dumps({"key": key, "model": "m"}).encode()
        status, said, _ = caller.request("POST", "/api/v1/keys/verify", other, {**JSON, "Idempotency-Key": "retry-1"})
    assert (status, json.loads(said)["code"]) == (422, "IDEMPOTENCY_MISMATCH")
