"""`doorward plans`: what plans grant, and who gets which."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from portal.cli.frame import echo_json, in_frame, named_account
from portal.core.access import operator_actor
from portal.core.errors import Invalid, NotFound
from portal.usage.boosts import boost_limit, end_boost
from portal.usage.plan_changes import STARTS, change_plan, take_back_plan
from portal.usage.plans import PlanTerms, create_plan, delete_plan, edit_plan, list_plans, plan_named, terms_of
from portal.usage.prices import parse_prices

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.usage.models import Plan

NO_LIMIT = "none"


@click.group()
def plans() -> None:
    """Plans: list, show, create, change, delete; give one to a user, boost a user's limit."""


def read_limit(context: click.Context, option: click.Parameter, typed: str | None) -> int | str | None:
    """A whole number, or `none`."""
    if typed is None or typed == NO_LIMIT:
        return typed
    if not re.fullmatch("-?[0-9]{1,20}", typed):
        raise click.BadParameter(f"{typed!r} is neither a whole number nor {NO_LIMIT}.")
    return int(typed)


def term_options(command: Callable[..., None]) -> Callable[..., None]:
    """Every term of a plan as an option; one left out is None."""
    for option in reversed(
        [
            click.option(
                "--daily-limit", metavar="NUMBER|none", callback=read_limit, help="Conversations a day, or none."
            ),
            click.option("--credits", "credits_per_month", type=int, help="Granted anew each month."),
            click.option(
                "--rate", "rate_per_minute", metavar="NUMBER|none", callback=read_limit, help="Calls a minute, or none."
            ),
            click.option("--keys", "key_count", type=int, help="API keys a user may hold."),
            click.option(
                "--retention-days",
                metavar="NUMBER|none",
                callback=read_limit,
                help="For how long logs are kept; none is LOG_RETENTION_DAYS.",
            ),
            click.option("--price", "prices", multiple=True, metavar="MODEL=CREDITS", help="Repeat for each model."),
        ]
    ):
        command = option(command)
    return command


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The terms that were named."""
    named = {name: value for name, value in options.items() if value not in (None, ())}
    given: dict[str, Any] = {name: None if value == NO_LIMIT else value for name, value in named.items()}
    if "prices" in given:
        given["prices"] = parse_prices(given["prices"])
    return given


def _shown(plan: Plan) -> dict[str, Any]:
    terms = terms_of(plan)
    return {"id": plan.id, **{name: getattr(terms, name) for name in PlanTerms.__dataclass_fields__}}


def _named(name: str) -> Plan:
    plan = plan_named(name)
    if plan is None:
        raise NotFound(f"there is no plan {name}")
    return plan


@plans.command("list")
@in_frame
def plans_list() -> None:
    """All plans."""
    echo_json([_shown(plan) for plan in list_plans(operator_actor())])


@plans.command("show")
@click.argument("name")
@in_frame
def plans_show(name: str) -> None:
    """One plan."""
    echo_json(_shown(_named(name)))


@plans.command("create")
@click.option("--name", required=True)
@term_options
@in_frame
def plans_create(name: str, **options: Any) -> None:
    """A new plan; terms left out are: no daily limit, no rate, no credits, 5 keys, LOG_RETENTION_DAYS, no prices."""
    terms = PlanTerms(**{"name": name, "daily_limit": None, **_given(options)})
    echo_json(_shown(create_plan(operator_actor(), terms)))


@plans.command("change")
@click.argument("name")
@click.option("--name", "new_name", help="Another name.")
@click.option("--no-prices", is_flag=True, help="Empty the cost table.")
@term_options
@in_frame
def plans_change(name: str, new_name: str | None, no_prices: bool, **options: Any) -> None:
    """Change a plan; it holds from the next call on. Terms left out stay; prices named replace the whole table."""
    plan = _named(name)
    terms = {field: getattr(plan, field) for field in PlanTerms.__dataclass_fields__} | _given(options)
    if new_name is not None:
        terms["name"] = new_name
    if no_prices:
        terms["prices"] = {}
    echo_json(_shown(edit_plan(operator_actor(), plan.id, PlanTerms(**terms), version=plan.version)))


@plans.command("delete")
@click.argument("name")
@in_frame
def plans_delete(name: str) -> None:
    """Delete a plan that nobody has."""
    delete_plan(operator_actor(), _named(name).id)
    click.echo(f"{name} is deleted")


@plans.command("give")
@click.argument("user")
@click.argument("name")
@click.option("--starts", type=click.Choice(STARTS), default="now", show_default=True)
@in_frame
def plans_give(user: str, name: str, starts: str) -> None:
    """Give a user another plan: now, with the next usage day, or with the next month."""
    found = named_account(user)
    change = change_plan(operator_actor(), found.id, _named(name).id, starts=starts)
    starts_at = change.starts_at.isoformat(timespec="seconds")
    echo_json({"username": found.username, "plan": change.plan.name, "starts_at": starts_at})


@plans.command("take-back")
@click.argument("user")
@in_frame
def plans_take_back(user: str) -> None:
    """Take back a user's coming plan."""
    found = named_account(user)
    take_back_plan(operator_actor(), found.id)
    click.echo(f"{found.username} keeps the present plan")


@plans.command("boost")
@click.argument("user")
@click.argument("extra", type=int)
@click.option("--until", required=True, help="An instant such as 2026-12-01T00:00:00+01:00.")
@click.option("--reason", required=True)
@in_frame
def plans_boost(user: str, extra: int, until: str, reason: str) -> None:
    """Raise a user's daily limit for a while."""
    found = named_account(user)
    boost = boost_limit(operator_actor().because(reason), found.id, extra, _instant(until))
    until = boost.until.isoformat(timespec="seconds")
    echo_json({"username": found.username, "extra": boost.extra, "until": until})


def _instant(typed: str) -> datetime:
    with suppress(ValueError):
        instant = datetime.fromisoformat(typed)
        if instant.tzinfo is not None:
            return instant
    raise Invalid({"until": "an instant with its offset, such as 2026-12-01T00:00:00+01:00"})


@plans.command("end-boost")
@click.argument("user")
@in_frame
def plans_end_boost(user: str) -> None:
    """End a user's boost before its time."""
    found = named_account(user)
    end_boost(operator_actor(), found.id)
    click.echo(f"the boost of {found.username} is over")
