"""How a user stands and what was used, as the API tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from flask import request

from portal.api.list_shapes import Instant
from portal.core.errors import Invalid
from portal.core.text import gettext

if TYPE_CHECKING:
    from uuid import UUID

    from portal.insight.user_usage import UserUsage

SPANS = (7, 30, 90)
USUAL_SPAN: Literal[30] = 30


class UsageQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Within how many usage days `models` and `keys` are counted."""

    days: Literal[7, 30, 90] = USUAL_SPAN


class TodayShape(msgspec.Struct):
    """The present usage day; null is no limit."""

    limit: int | None
    used: int
    remaining: int | None
    resets_at: Instant
    time_zone: str


class CreditsLeftShape(msgspec.Struct):
    """What is left to spend in the present month."""

    remaining: int


class BoostShape(msgspec.Struct):
    """So many conversations more a day, until when."""

    extra: int
    until: Instant


class ComingPlanShape(msgspec.Struct):
    """A plan that is to come, and from when it holds."""

    plan: str
    starts_at: Instant


class DayShape(msgspec.Struct):
    """Conversations of one usage day, in the user's zone."""

    day: str
    used: int


class MonthShape(msgspec.Struct):
    """Conversations of one month, by its first day."""

    month: str
    used: int


class ModelShape(msgspec.Struct):
    """What went to one model; "" where none was named."""

    model: str
    used: int
    credits: int


class KeyUseShape(msgspec.Struct):
    """What went through one key; null without a key."""

    id: str | None
    name: str | None
    prefix: str | None
    used: int
    credits: int


class UsageShape(msgspec.Struct):
    """How a user stands, the last 30 days and 12 months, and what went where."""

    user_id: str
    username: str
    plan: str
    daily: TodayShape
    credits: CreditsLeftShape
    daily_limit_override: int | None
    boost: BoostShape | None
    coming_plan: ComingPlanShape | None
    days: list[DayShape]
    months: list[MonthShape]
    models: list[ModelShape]
    keys: list[KeyUseShape]


def asked_span() -> int:
    """Within how many days usage is broken down. Raises Invalid."""
    unknown = sorted(set(request.args) - {"days"})
    if unknown:
        raise Invalid({"/" + unknown[0]: gettext("There is no such filter.")})
    given = request.args.get("days", str(USUAL_SPAN))
    if given not in map(str, SPANS):
        raise Invalid({"/days": gettext("One of %(known)s.", known=", ".join(map(str, SPANS)))})
    return int(given)


def usage_shape(usage: UserUsage) -> UsageShape:
    """A user's usage as the API tells it."""
    stands, limits = usage.standing, usage.limits
    boost, coming = limits.boost, limits.coming
    return UsageShape(
        user_id=str(usage.user_id),
        username=usage.username,
        plan=limits.plan.name,
        daily=TodayShape(stands.limit, stands.used, stands.remaining, stands.resets_at.isoformat(), stands.time_zone),
        credits=CreditsLeftShape(stands.credits),
        daily_limit_override=limits.override,
        boost=BoostShape(boost.extra, boost.until.isoformat()) if boost else None,
        coming_plan=ComingPlanShape(coming.plan.name, coming.starts_at.isoformat()) if coming else None,
        days=[DayShape(day.isoformat(), used) for day, used in usage.days],
        months=[MonthShape(month.isoformat(), used) for month, used in usage.months],
        models=[ModelShape(one.model, one.used, one.credits) for one in usage.models],
        keys=[_key(usage, one.key_id, one.used, one.credits) for one in usage.by_key],
    )


def _key(usage: UserUsage, key_id: UUID | None, used: int, credits: int) -> KeyUseShape:
    known = usage.keys.get(key_id) if key_id else None
    name, prefix = (known.name, known.prefix) if known else (None, None)
    return KeyUseShape(str(key_id) if key_id else None, name, prefix, used, credits)
