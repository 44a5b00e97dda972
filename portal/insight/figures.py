"""The dashboard's figures: counted by a job, read by the page."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from portal.accounts.models import Account, Kind, State
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.insight.models import Figure
from portal.messages.flush import waiting_bytes
from portal.messages.models import ModelDay
from portal.usage.models import UsageDay

if TYPE_CHECKING:
    from portal.core.actor import Actor

DAYS = 30
# Counting may take one hundredth of the time: with a million users it takes seconds, which others would wait for.
MOST_SHARE = 100


@dataclass(frozen=True, slots=True)
class Dashboard:
    """What the dashboard shows, and when it was counted. `spool_bytes` is read on the spot."""

    counted_at: datetime
    users: int
    active_users: int
    suspended_users: int
    signed_up_today: int
    conversations_today: int
    failed_sign_ins_today: int
    spool_bytes: int
    days: list[tuple[date, int, int]]
    top_users: list[tuple[str, str, int]]
    top_models: list[tuple[str, int]]


def count_figures(*, patiently: bool = False) -> bool:
    """Count everything once and keep it: run by a job, off every request path.

    Patiently means: not yet, when counting took so long the last time that it would be a burden (False then).
    """
    now, began = clock.now(), clock.monotonic()
    before = db.session.get(Figure, "dashboard")
    took = timedelta(seconds=before.value.get("took_s", 0)) if before else timedelta(0)
    if patiently and before is not None and now - before.counted_at < MOST_SHARE * took:
        return False
    today = now.date()
    first = today - timedelta(days=DAYS - 1)
    states = dict(
        db.session.execute(
            select(Account.state, func.count()).where(Account.kind == Kind.USER.value).group_by(Account.state)
        ).all()
    )
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    used = dict(
        db.session.execute(
            select(UsageDay.day, func.sum(UsageDay.total)).where(UsageDay.day >= first).group_by(UsageDay.day)
        ).all()
    )
    logged = dict(
        db.session.execute(
            select(ModelDay.day, func.sum(ModelDay.logs)).where(ModelDay.day >= first).group_by(ModelDay.day)
        ).all()
    )
    top_users = db.session.execute(
        select(Account.id, Account.username, UsageDay.total.label("used"))
        .join(Account, Account.id == UsageDay.user_id)
        .where(UsageDay.day == today, Account.state != State.DELETED.value)
        .order_by(UsageDay.total.desc())
        .limit(5)
    ).all()
    top_models = db.session.execute(
        select(ModelDay.model, func.sum(ModelDay.logs).label("logs"))
        .where(ModelDay.day >= first)
        .group_by(ModelDay.model)
        .order_by(func.sum(ModelDay.logs).desc())
        .limit(5)
    ).all()
    counted = {
        "users": sum(n for state, n in states.items() if state != State.DELETED),
        "active_users": states.get(State.ACTIVE.value, 0),
        "suspended_users": states.get(State.SUSPENDED.value, 0),
        "signed_up_today": _count(
            Account,
            Account.kind == Kind.USER.value,
            Account.state != State.DELETED.value,
            Account.created_at >= midnight,
        ),
        "conversations_today": int(used.get(today, 0)),
        "failed_sign_ins_today": _count(AuditEntry, AuditEntry.event == "sign_in.failed", AuditEntry.at >= midnight),
        "days": [
            [day.isoformat(), int(used.get(day, 0)), int(logged.get(day, 0))]
            for day in (first + timedelta(days=n) for n in range(DAYS))
        ],
        "top_users": [[str(row.id), row.username, int(row.used)] for row in top_users],
        "top_models": [[row.model, int(row.logs)] for row in top_models],
    }
    counted["took_s"] = round(clock.monotonic() - began, 3)
    if before is None:
        # Whoever loses a race for the very first count keeps the other's, made at the same moment.
        with suppress(IntegrityError), db.session.begin_nested():
            db.session.add(Figure(name="dashboard", value=counted, counted_at=now))
    else:
        before.value, before.counted_at = counted, now
    return True


def _count(table: Any, *conditions: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(table).where(*conditions)) or 0


@needs(Capability.CONSOLE_SEE)
def dashboard(actor: Actor) -> Dashboard:
    """The figures as last counted; at the very first visit they are counted on the spot."""
    figure = db.session.get(Figure, "dashboard")
    if figure is None:
        count_figures()
        db.session.flush()
        figure = db.session.get_one(Figure, "dashboard")
    value = figure.value
    return Dashboard(
        counted_at=figure.counted_at,
        spool_bytes=waiting_bytes(),
        days=[(date.fromisoformat(day), used, logged) for day, used, logged in value["days"]],
        top_users=[(row[0], row[1], row[2]) for row in value["top_users"]],
        top_models=[(row[0], row[1]) for row in value["top_models"]],
        **{
            name: value[name]
            for name in (
                "users",
                "active_users",
                "suspended_users",
                "signed_up_today",
                "conversations_today",
                "failed_sign_ins_today",
            )
        },
    )
