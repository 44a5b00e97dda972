"""`doorward credits`: the ledgers of users."""

from __future__ import annotations

import click

from portal.cli.frame import echo_json, in_frame, named_account
from portal.core.access import operator_actor
from portal.usage.credits import grant_credits
from portal.usage.history import ledger


@click.group()
def credits() -> None:
    """Credits: list, grant."""


@credits.command("list")
@click.argument("name")
@in_frame
def credits_list(name: str) -> None:
    """The latest ledger entries of a user."""
    found = named_account(name)
    rows = ledger(operator_actor(), found.id)
    echo_json([{"kind": row.kind, "amount": row.amount, "balance": row.balance, "reason": row.reason} for row in rows])


@credits.command("grant")
@click.argument("name")
@click.argument("amount", type=int)
@click.option("--reason", required=True)
@in_frame
def credits_grant(name: str, amount: int, reason: str) -> None:
    """Grant credits to a user."""
    found = named_account(name)
    balance = grant_credits(operator_actor().because(reason), found.id, amount)
    echo_json({"username": found.username, "credits": balance})
