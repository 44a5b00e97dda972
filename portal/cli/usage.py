"""`doorward usage`: what was used, and why calls were refused."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from portal.cli.frame import echo_json, in_frame, named_account
from portal.core.access import operator_actor
from portal.core.errors import NotFound
from portal.insight.user_usage import refusal_list, refusal_story, user_usage
from portal.usage.history import last_days
from portal.usage.refusal_reading import find_refusal, was_allowed

if TYPE_CHECKING:
    from portal.usage.refusal_reading import RefusalSeen


@click.group()
def usage() -> None:
    """Usage: show, refusals, why."""


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
