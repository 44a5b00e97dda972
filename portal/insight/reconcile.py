"""The nightly comparison of balances with the ledger, and what it found the last time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portal.core import clock
from portal.core.database import db
from portal.insight.models import Figure
from portal.usage.credits import find_drift

if TYPE_CHECKING:
    from datetime import datetime

NAME = "credit_drift"


@dataclass(frozen=True, slots=True)
class DriftFound:
    """What the last comparison found: how many balances differ, by how many credits in all, and whose the first are."""

    checked_at: datetime
    checked: int
    count: int
    credits: int
    users: list[str]


def reconcile_credits() -> DriftFound:
    """Compare every balance with the sum of its entries and keep what was found. Changes no balance."""
    drift, now = find_drift(), clock.now()
    value = {
        "checked": drift.checked,
        "count": drift.count,
        "sum": drift.credits,
        "users": [str(user_id) for user_id, _, _ in drift.users],
    }
    figure = db.session.get(Figure, NAME)
    if figure is None:
        db.session.add(Figure(name=NAME, value=value, counted_at=now))
    else:
        figure.value, figure.counted_at = value, now
    return _found(value, now)


def drift_found() -> DriftFound | None:
    """What the last comparison found; None before the first."""
    figure = db.session.get(Figure, NAME)
    return None if figure is None else _found(figure.value, figure.counted_at)


def _found(value: dict[str, Any], at: datetime) -> DriftFound:
    return DriftFound(at, value["checked"], value["count"], value["sum"], value["users"])
