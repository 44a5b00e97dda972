"""Plans as the API takes and tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from portal.api.list_shapes import PageShape
from portal.api.user_shapes import Units

if TYPE_CHECKING:
    from portal.usage.models import Plan


class NewPlan(msgspec.Struct, forbid_unknown_fields=True):
    """A plan to make. A limit of null is no limit; `retention_days` of null is LOG_RETENTION_DAYS. `prices` are credits
    for one conversation, by model."""

    name: str
    daily_limit: Units | None
    credits_per_month: Units = 0
    rate_per_minute: Units | None = None
    key_count: Units = 5
    retention_days: Units | None = None
    prices: dict[str, Units] = {}


class PlanChange(msgspec.Struct, forbid_unknown_fields=True):
    """What of a plan shall change; what is left out stays. `prices` are taken as a whole."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    daily_limit: Units | msgspec.UnsetType | None = msgspec.UNSET
    credits_per_month: Units | msgspec.UnsetType = msgspec.UNSET
    rate_per_minute: Units | msgspec.UnsetType | None = msgspec.UNSET
    key_count: Units | msgspec.UnsetType = msgspec.UNSET
    retention_days: Units | msgspec.UnsetType | None = msgspec.UNSET
    prices: dict[str, Units] | msgspec.UnsetType = msgspec.UNSET


class PlanShape(msgspec.Struct):
    """A plan; `version` is the ETag too."""

    id: str
    name: str
    daily_limit: int | None
    credits_per_month: int
    rate_per_minute: int | None
    key_count: int
    retention_days: int | None
    prices: dict[str, int]
    version: int


class PlanPage(PageShape):
    """Plans, by name."""

    items: list[PlanShape]


def plan_shape(plan: Plan) -> PlanShape:
    """A plan as the API tells it."""
    return PlanShape(**{**{name: getattr(plan, name) for name in PlanShape.__struct_fields__}, "id": str(plan.id)})
