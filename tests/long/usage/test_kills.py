"""Thousands of named calls while the server is killed ten times: each is spent once."""

from __future__ import annotations

from collections.abc import Callable

from portal.core.access import operator_actor
from portal.core.database import transaction
from portal.usage.credits import grant_credits
from tests.conftest import Machine
from tests.faults.test_repeats import check_books, spend_while_killed
from tests.people import make_account
from tests.servers import Server

CALLERS, CALLS, KILLS = 16, 500, 10


def test_a_call_repeated_after_a_kill_is_spent_once(
    served: Server, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    alice = make_account("alice", daily_limit_override=1_000_000)
    with transaction():
        grant_credits(operator_actor().because("a test"), alice.id, 1_000_000)
    key, token = key_of(alice), machine("keys:verify").token or ""
    answers = spend_while_killed(served, token, key, callers=CALLERS, calls=CALLS, kills=KILLS)
    check_books(alice, answers, 1_000_000)
