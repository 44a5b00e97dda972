"""`doorward usage`: what was used, and why calls were refused."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from portal.cli.frame import echo_json, in_frame, named_account
from portal.core.access import operator_actor
from portal.core.errors import Invalid, NotFound
from portal.core.text import BadName
from portal.insight.user_usage import refusal_list, refusal_story, user_usage
from portal.usage.consuming import Consumed, Wanted, consume
from portal.usage.history import last_days
from portal.usage.prices import canonical_model
from portal.usage.refunds import refund
from portal.usage.refusal_reading import find_refusal, was_allowed

if TYPE_CHECKING:
    from portal.usage.refusal_reading import RefusalSeen


@click.group()
def usage() -> None:
    """Usage: show, consume, refund, refusals, why."""


@usage.command("show")
@click.argument("name")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How many days back.")
@in_frame
def usage_show(name: str, days: int) -> None:
    """How a user stands, and what was used by day, model and key."""
    found = named_account(name)
    seen = user_usage(operator_actor(), found.id, span=days)
    standing = seen.standing
    echo_json(
        {
            "username": seen.username,
            "plan": seen.limits.plan.name,
            "daily": {
                "limit": standing.limit,
                "used": standing.used,
                "remaining": standing.remaining,
                "resets_at": standing.resets_at.isoformat(),
                "time_zone": standing.time_zone,
            },
            "credits": standing.credits,
            "days": [{"day": day, "used": used} for day, used in last_days(operator_actor(), found.id, days=days)],
            "months": [{"month": f"{month:%Y-%m}", "used": used} for month, used in seen.months],
            "models": [{"model": row.model, "used": row.used, "credits": row.credits} for row in seen.models],
            "keys": [
                {
                    "id": row.key_id,
                    "name": seen.keys[row.key_id].name if row.key_id in seen.keys else None,
                    "used": row.used,
                    "credits": row.credits,
                }
                for row in seen.by_key
            ],
            "leases_lost": [asdict(lease) for lease in seen.leases],
        }
    )


@usage.command("consume")
@click.argument("name")
@click.option("--conversations", type=click.IntRange(0, 1_000_000), default=1, show_default=True)
@click.option("--credits", type=click.IntRange(0, 1_000_000), help="Left out: the plan's price for the model.")
@click.option("--model", default="")
@in_frame
def usage_consume(name: str, conversations: int, credits: int | None, model: str) -> None:
    """Spend for a user, as a client would; a refusal is an answer too, and exits with 3."""
    wanted = Wanted(named_account(name).id, None, conversations, credits, _model(model))
    made = consume(operator_actor(), wanted, face=lambda _: b"")
    if not isinstance(made, Consumed):  # only a call that names itself is answered as before
        raise TypeError(type(made).__name__)
    verdict, standing = made.verdict, made.verdict.standing
    echo_json(
        {
            "code": verdict.code,
            "decision_id": verdict.decision_id,
            "used": standing.used if standing else None,
            "remaining": standing.remaining if standing else None,
            "credits": standing.credits if standing else None,
        }
    )
    if verdict.code != "VALID":
        sys.exit(3)


@usage.command("refund")
@click.argument("decision_id")
@click.option("--reason", required=True)
@in_frame
def usage_refund(decision_id: str, reason: str) -> None:
    """Take a decision back, once; a lost lease by its id."""
    made = refund(operator_actor().because(reason), decision_id)
    echo_json({"user_id": made.user_id, "conversations": made.conversations, "credits": made.credits})


@usage.command("refusals")
@click.argument("name")
@in_frame
def usage_refusals(name: str) -> None:
    """The latest refused calls of a user."""
    listed = refusal_list(operator_actor(), named_account(name).id)
    echo_json([_told(row) for row in listed.page.items])


@usage.command("why")
@click.argument("decision_id")
@in_frame
def usage_why(decision_id: str) -> None:
    """Why the call with this decision id was refused."""
    if was_allowed(decision_id):
        echo_json({"decision_id": decision_id, "allowed": True})
        return
    found = find_refusal(operator_actor(), decision_id)
    if found is None:
        raise NotFound("there is no refusal with this decision id; they are kept for 30 days")
    story = refusal_story(operator_actor(), found.user_id, found.id)
    echo_json({"allowed": False, "username": story.username, "key": story.key and asdict(story.key), **_told(found)})


def _model(typed: str) -> str:
    try:
        return canonical_model(typed) if typed else ""
    except BadName as error:
        raise Invalid({"model": str(error)}) from None


def _told(row: RefusalSeen) -> dict[str, Any]:
    return {
        "decision_id": row.id,
        "code": row.code,
        "rule": str(row.rule.sentence),
        "clears_at": row.clears_at,
        "cleared": row.cleared,
        "remedy": None if row.clears_at else str(row.rule.remedy),
        "key_id": row.key_id,
        "client": row.client_name,
        "count": row.count,
        "first_at": row.first_at,
        "last_at": row.last_at,
        "first": asdict(row.first),
        "last": asdict(row.last),
    }
