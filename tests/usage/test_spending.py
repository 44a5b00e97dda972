"""Spending under a race: nobody spends what another had, whatever the database."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.core.access import operator_actor
from portal.core.database import db, transaction
from portal.usage.credits import grant_credits
from portal.usage.models import CreditBalance, CreditEntry, UsageDetail
from tests.conftest import Machine
from tests.people import make_account
from tests.races import CLIENTS, ask, race, race_processes, race_threads, racing, used_by
from tests.servers import Server

ROUNDS = 3
# Fifty threads inside this process need as many connections and one each for looking up.
MANY = pytest.mark.parametrize("setting", [{"threads": 64, "db_timeout_s": 30}])
TWO_WORKERS = pytest.mark.parametrize("served", [2], indirect=True)


def give_credits(user: Account, amount: int) -> None:
    """Let the operator grant credits."""
    with transaction():
        grant_credits(operator_actor().because("a test"), user.id, amount)


def left_to(user: Account) -> int:
    """The balance, which must be the sum of the ledger and never have been below zero."""
    db.session.expire_all()
    entries = db.session.scalars(select(CreditEntry).where(CreditEntry.user_id == user.id)).all()
    balance = db.session.get_one(CreditBalance, user.id)
    left = balance.plan_credits + balance.own_credits
    assert sum(entry.amount for entry in entries) == left
    assert min(entry.balance for entry in entries) >= 0
    return left


@MANY
def test_of_fifty_threads_one_has_the_last_unit(machine: Callable[..., Machine], key_of: Callable[..., str]) -> None:
    race_threads(machine("keys:verify"), key_of, ROUNDS)


@TWO_WORKERS
def test_of_fifty_processes_one_has_the_last_unit(
    served: Server, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    race_processes(served, machine("keys:verify").token or "", key_of, ROUNDS)


@MANY
def test_random_costs_never_pass_the_limit_and_each_answer_counts_its_own(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, user, chance = machine("keys:verify"), make_account("alice", daily_limit_override=200), Random(4)
    key, costs = key_of(user), [[chance.randint(1, 9) for _ in range(3)] for _ in range(40)]
    asked = race(40, lambda n: [(cost, ask(gate, key, {"conversations": cost})) for cost in costs[n]])
    won = sorted((body["daily"]["used"], cost) for part in asked for cost, body in part if body["valid"])
    reached = 0
    for used, cost in won:
        reached += cost
        assert used == reached
    assert used_by(user) == reached <= 200
    while (body := ask(gate, key, {"conversations": 1}))["valid"]:
        reached += 1
    assert (reached, used_by(user), body["daily"]["remaining"]) == (200, 200, 0)


@MANY
def test_credits_spent_at_once_end_at_zero_and_the_ledger_agrees(
    machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    gate, user, chance = machine("keys:verify"), make_account("alice", daily_limit_override=1000), Random(4)
    give_credits(user, 150)
    key, costs = key_of(user), [chance.randint(1, 9) for _ in range(40)]
    won = race(40, lambda n: ask(gate, key, {"conversations": 1, "credits": costs[n]})["valid"])
    spent = sum(cost for cost, valid in zip(costs, won, strict=True) if valid)
    calls = sum(won)
    while ask(gate, key, {"conversations": 1, "credits": 1})["valid"]:
        spent, calls = spent + 1, calls + 1
    assert (spent, left_to(user), used_by(user)) == (150, 0, calls)
    assert db.session.scalar(select(func.sum(UsageDetail.credits))) == 150


@TWO_WORKERS
def test_fifty_processes_spend_credits_to_zero(
    served: Server, machine: Callable[..., Machine], key_of: Callable[..., str]
) -> None:
    user, chance = make_account("alice", daily_limit_override=1000), Random(4)
    give_credits(user, 60)
    key, costs = key_of(user), [chance.randint(1, 3) for _ in range(CLIENTS)]
    with racing(served, machine("keys:verify").token or "", CLIENTS) as racers:
        answers = racers.verify([{"key": key, "cost": {"credits": cost}} for cost in costs])
    assert {answer["code"] for answer in answers} == {"VALID", "CREDITS_EXHAUSTED"}
    won = [cost for cost, answer in zip(costs, answers, strict=True) if answer["valid"]]
    assert (60 - sum(won), len(won)) == (left_to(user), used_by(user))


def test_the_database_itself_refuses_a_balance_below_zero(app: object) -> None:
    user = make_account("alice")
    with pytest.raises(Exception, match="own_credits"), transaction():
        db.session.get_one(CreditBalance, user.id).own_credits = -1
