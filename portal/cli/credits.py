"""`doorward credits`: the ledgers of users."""

from __future__ import annotations

import sys

import click

from portal.cli.frame import echo_json, in_frame, named_account
from portal.core.access import operator_actor
from portal.usage.credits import adjust_credits, balance_of, find_drift, grant_credits, list_ledger


@click.group()
def credits() -> None:
    """Credits: list, grant, adjust, reconcile."""


@credits.command("list")
@click.argument("name")
@click.option("--cursor", help="The next_cursor of the page before.")
@in_frame
def credits_list(name: str, cursor: str | None) -> None:
    """A user's balance and ledger, newest first, 50 entries at a time."""
    found, who = named_account(name), operator_actor()
    balance, page = balance_of(who, found.id), list_ledger(who, found.id, cursor)
    entries = [
        {
            "kind": row.kind,
            "amount": row.amount,
            "balance": row.balance,
            "reason": row.reason,
            "actor": row.actor_name,
            "created_at": row.created_at.isoformat(),
        }
        for row in page.items
    ]
    parts = {"plan_credits": balance.plan_credits, "own_credits": balance.own_credits, "credits": balance.total}
    echo_json({"username": found.username, **parts, "entries": entries, "next_cursor": page.next_cursor})


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


# A negative amount is no option.
@credits.command("adjust", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("amount", type=int)
@click.option("--reason", required=True)
@in_frame
def credits_adjust(name: str, amount: int, reason: str) -> None:
    """Put a user's credits right: 5 adds, -5 takes."""
    found = named_account(name)
    balance = adjust_credits(operator_actor().because(reason), found.id, amount)
    echo_json({"username": found.username, "credits": balance})


@credits.command("reconcile")
@in_frame
def credits_reconcile() -> None:
    """Compare every balance with the sum of its entries. Changes nothing; the exit code is 1 when any differs."""
    drift = find_drift()
    users = [{"id": user_id, "balance": balance, "booked": booked} for user_id, balance, booked in drift.users]
    echo_json({"checked": drift.checked, "differ": drift.count, "credits": drift.credits, "users": users})
    if drift.count:
        sys.exit(1)
