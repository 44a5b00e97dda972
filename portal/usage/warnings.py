"""Warnings before the daily limit: spending writes the mark that a day reached, a job here tells it, once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from babel.dates import format_date
from sqlalchemy import delete, func, select, tuple_, update

from portal.accounts.days import resets_at, usage_day
from portal.accounts.lifecycle import target_of
from portal.accounts.models import State, User
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db, transaction
from portal.core.errors import NotFound
from portal.core.languages import known_language
from portal.mail.outbox import write_mail
from portal.usage.history import standing
from portal.usage.models import UsageWarning
from portal.usage.spending import MARKS

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

BATCH = 100
KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Reached:
    """The mark that today's use has reached, and the numbers behind it."""

    mark: int
    used: int
    limit: int
    resets_at: datetime


def mark_of(used: int, limit: int | None) -> int | None:
    """The highest mark (80 or 100 percent) that this use of this limit has reached."""
    if limit is None:
        return None
    return next((mark for mark in reversed(MARKS) if used * 100 >= limit * mark), None)


@needs(Capability.OWN_USAGE)
def own_mark(actor: Actor) -> Reached | None:
    """The mark that the actor's day has reached, for the banner; computed from the standing, not from warnings."""
    if actor.id is None:
        return None
    today = standing(actor, actor.id)
    mark = mark_of(today.used, today.limit)
    return Reached(mark, today.used, today.limit, today.resets_at) if mark and today.limit is not None else None


@needs(Capability.OWN_USAGE)
def warned_by_mail(actor: Actor) -> bool:
    """Whether the actor chose to be warned by mail. Raises NotFound."""
    user = db.session.get(User, actor.id)
    if user is None:
        raise NotFound
    return user.warn_by_mail


@needs(Capability.OWN_USAGE)
def set_usage_warnings(actor: Actor, on: bool) -> None:
    """Choose whether warnings come by mail. Those on the pages stay. Raises NotFound."""
    user = db.session.get(User, actor.id)
    if user is None:
        raise NotFound
    if user.warn_by_mail != on:
        user.warn_by_mail = on
        record(actor, events.USAGE_WARNINGS_SET, target_of(user), {"on": on})


def warnings_wait() -> bool:
    """Whether a mark was reached that nobody was told of."""
    return db.session.scalar(select(UsageWarning.mark).where(UsageWarning.told_at.is_(None)).limit(1)) is not None


def tell_warnings(*, most: int = 10_000) -> tuple[int, int]:
    """Tell every mark not yet told, each once however many do this at the same time. Answers (told, mailed).

    Of one day only the highest mark is mailed, and only while that day lasts.
    """
    told = mailed = 0
    while told < most:
        query = (
            select(UsageWarning.user_id, UsageWarning.day)
            .where(UsageWarning.told_at.is_(None))
            .group_by(UsageWarning.user_id, UsageWarning.day)
            .order_by(func.min(UsageWarning.reached_at))
            .limit(BATCH)
        )
        # In one order everywhere, so that two who tell the same days wait for each other and never cross.
        days = sorted((row.user_id, row.day) for row in db.session.execute(query))
        if not days:
            break
        for user_id, day in days:
            with transaction():  # claim and mail in one: told is what is in the outbox
                marks = _claim(user_id, day)
                told += len(marks)
                mailed += _mail(user_id, day, marks)
    return told, mailed


def _claim(user_id: UUID, day: date) -> dict[int, int]:
    """The marks of this day that nobody else tells, each with the limit that held then."""
    claimed = db.session.execute(
        update(UsageWarning)
        .where(UsageWarning.user_id == user_id, UsageWarning.day == day, UsageWarning.told_at.is_(None))
        .values(told_at=clock.now())
        .returning(UsageWarning.mark, UsageWarning.daily_limit)
        .execution_options(synchronize_session=False)
    )
    return {row.mark: row.daily_limit for row in claimed}


def _mail(user_id: UUID, day: date, marks: dict[int, int]) -> int:
    if not marks:
        return 0
    mark = max(marks)
    higher = select(UsageWarning.mark).where(
        UsageWarning.user_id == user_id, UsageWarning.day == day, UsageWarning.mark > mark
    )
    user = db.session.get(User, user_id, populate_existing=True)
    if user is None or not user.warn_by_mail or not user.email or user.state != State.ACTIVE:
        return 0
    if day != usage_day(user.calendar, clock.now()) or db.session.scalar(higher.limit(1)) is not None:
        return 0
    reset = resets_at(user.calendar, clock.now())
    values = {
        "name": user.shown_name,
        "mark": mark,
        "limit": marks[mark],
        "reset_day": format_date(reset, "d MMMM", locale=known_language(user.language)),
        "reset_hour": reset.strftime("%H:%M"),
        "zone": user.time_zone.replace("_", " "),
    }
    write_mail(user.email, "usage_warning", values, language=user.language, account_id=user.id)
    return 1


def forget_warnings() -> int:
    """Delete marks of days long over, a batch at a time; for a job. Answers how many."""
    forgotten, before = 0, (clock.now() - KEPT).date()
    while True:
        old = select(UsageWarning.user_id, UsageWarning.day).where(UsageWarning.day < before).limit(BATCH).distinct()
        days = [(row.user_id, row.day) for row in db.session.execute(old)]
        if not days:
            return forgotten
        with transaction():
            gone = delete(UsageWarning).where(tuple_(UsageWarning.user_id, UsageWarning.day).in_(days))
            told = db.session.scalars(
                gone.returning(UsageWarning.mark).execution_options(synchronize_session=False)
            ).all()
            forgotten += len(told)
