"""How long conversations are kept: the user's choice within the plan. Days count from when a record was received."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.accounts.models import User
from portal.core import settings
from portal.core.database import db
from portal.usage.models import Plan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

CHOICES = ("plan", "nothing", "metadata", "7", "30", "365")
CHUNK = 400


@dataclass(frozen=True, slots=True)
class Keeping:
    """For how many days what was said and the rest of a log are kept; None is not at all, not even for a day.

    Never more days of content than of metadata.
    """

    content_days: int | None
    metadata_days: int | None


def lasting(plan_days: int | None) -> int:
    """For how many days a plan keeps anything at all; None where it says nothing of them."""
    return settings.current().log_retention_days if plan_days is None else plan_days


def keeping_by(choice: str, plan_days: int | None) -> Keeping:
    """What a choice comes to under a plan of so many days; None where the plan says nothing of them."""
    days = lasting(plan_days)
    if choice == "nothing" or not days:
        return Keeping(None, None)
    if choice == "metadata":
        return Keeping(None, days)
    return Keeping(min(int(choice), days) if choice.isdigit() else days, days)


def kept_of(user_ids: Iterable[UUID]) -> dict[UUID, Keeping]:
    """What is kept of each of these users; who is no user is left out. One statement for each 400 of them."""
    wanted = list(dict.fromkeys(user_ids))
    found: dict[UUID, Keeping] = {}
    for first in range(0, len(wanted), CHUNK):
        query = (
            select(User.id, User.keep_messages, Plan.retention_days)
            .outerjoin(Plan, Plan.id == User.plan_id)
            .where(User.id.in_(wanted[first : first + CHUNK]))
        )
        found |= {row[0]: keeping_by(row[1], row[2]) for row in db.session.execute(query)}
    return found
