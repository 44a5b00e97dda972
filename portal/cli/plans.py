"""`doorward plans`: what plans grant."""

from __future__ import annotations

import click

from portal.cli.frame import echo_json, in_frame
from portal.core.access import operator_actor
from portal.usage.plans import PlanTerms, create_plan, list_plans


@click.group()
def plans() -> None:
    """Plans: list, create."""


@plans.command("list")
@in_frame
def plans_list() -> None:
    """All plans."""
    echo_json(
        [
            {
                "id": plan.id,
                "name": plan.name,
                "daily_limit": plan.daily_limit,
                "credits": plan.credits_per_month,
            }
            for plan in list_plans(operator_actor())
        ]
    )


@plans.command("create")
@click.option("--name", required=True)
@click.option("--daily-limit", type=int, help="Conversations a day; left out means unlimited.")
@in_frame
def plans_create(name: str, daily_limit: int | None) -> None:
    """A new plan."""
    plan = create_plan(operator_actor(), PlanTerms(name, daily_limit))
    echo_json({"id": plan.id, "name": plan.name, "daily_limit": plan.daily_limit})
