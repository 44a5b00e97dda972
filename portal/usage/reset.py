"""Closing usage days that are over. Book-keeping only: no limit ever depends on it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from portal.accounts.days import Calendar, usage_day
from portal.accounts.models import Account, User
from portal.core import clock
from portal.core.database import db, dialect_name, transaction
from portal.usage.models import UsageDay, UsageMonth

BATCH = 500


def close_finished_days(*, most: int = 200_000) -> int:
    """Close each open day that is over where its user lives, once, and fold it into its month. Answers how many."""
    closed = 0
    # A day can be over only when it is over in the westernmost zone or earlier than tomorrow in the easternmost.
    latest = (clock.now() + timedelta(hours=15)).date()
    after, user = None, User.__table__.c
    while closed < most:
        query = (
            select(UsageDay.user_id, UsageDay.day, UsageDay.used, Account.time_zone, user.held_day, user.held_until)
            .join(Account, Account.id == UsageDay.user_id)
            .join(User.__table__, user.account_id == UsageDay.user_id)
            .where(UsageDay.closed_at.is_(None), UsageDay.day < latest)
            .order_by(UsageDay.day, UsageDay.user_id)
            .limit(BATCH)
        )
        if after is not None:
            query = query.where(tuple_(UsageDay.day, UsageDay.user_id) > tuple_(*after))
        rows = db.session.execute(query).all()
        if not rows:
            break
        after = (rows[-1].day, rows[-1].user_id)
        now = clock.now()
        over = [row for row in rows if row.day < usage_day(Calendar(row.time_zone, row.held_day, row.held_until), now)]
        with transaction():  # a batch at a time: nobody waits long for the writer
            closed += sum(_close(row.user_id, row.day) for row in over)
    return closed


def _close(user_id: object, day: object) -> int:
    used = db.session.execute(
        update(UsageDay)
        .where(UsageDay.user_id == user_id, UsageDay.day == day, UsageDay.closed_at.is_(None))
        .values(closed_at=clock.now())
        .returning(UsageDay.total.label("used"), UsageDay.day)
        .execution_options(synchronize_session=False)
    ).first()
    if used is None:
        return 0
    insert = postgres_insert if dialect_name() == "postgresql" else sqlite_insert
    statement = insert(UsageMonth).values(user_id=user_id, month=used.day.replace(day=1), used=used.used)
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=["user_id", "month"], set_={"used": UsageMonth.used + statement.excluded.used}
        )
    )
    return 1


def open_days() -> int:
    """How many days stand open, for health."""
    return db.session.scalar(select(func.count()).select_from(UsageDay).where(UsageDay.closed_at.is_(None))) or 0
