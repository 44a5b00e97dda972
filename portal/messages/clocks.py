"""The two clocks of a log, as conditions: when its content is to go, and when the rest of it.

They say of rows what keeping.py says of a user: the purge asks for many rows of many users in one statement.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, literal, or_, select

from portal.accounts.models import User
from portal.core import settings
from portal.core.database import Instant, db
from portal.messages.keeping import CHOICES
from portal.messages.models import MessageLog
from portal.usage.models import Plan

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

DAYS = tuple(int(choice) for choice in CHOICES if choice.isdigit())


def kept_since(now: datetime, days: int) -> datetime | None:
    """What was received at this instant or before has been kept for so many days; None: nothing is that old."""
    try:
        return now - timedelta(days=days)
    except OverflowError:
        return None


def with_owners(query: Any) -> Any:
    """A query of logs, each beside the user and the plan that its clocks go by."""
    return query.join(User, User.account_id == MessageLog.user_id).outerjoin(Plan, Plan.id == User.plan_id)


def clocks_at(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """(its content is over, all of it is over): conditions on the rows of with_owners.

    The first holds only for logs of which content is left: the purge empties the digest with it.
    """
    default = settings.current().log_retention_days
    told = db.session.scalars(select(Plan.retention_days).where(Plan.retention_days.is_not(None)).distinct())
    ends = {days: kept_since(now, days) for days in {default, *told} if days}
    days = func.coalesce(Plan.retention_days, default)
    whole: list[ColumnElement[bool]] = [User.keep_messages == "nothing", days == 0]
    known = {span: literal(end, Instant()) for span, end in ends.items() if end is not None}
    if known:
        whole.append(MessageLog.received_at <= case(known, value=days))
    chosen: list[ColumnElement[bool]] = [User.keep_messages == "metadata"]
    for span in DAYS:
        end = kept_since(now, span)
        if end is not None:
            chosen.append(and_(User.keep_messages == str(span), MessageLog.received_at <= end))
    return and_(MessageLog.digest != b"", or_(*whole, *chosen)), or_(*whole)
