"""What all users used in the last 30 days: added up by a job from the roll-ups, a range of users at a time."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from heapq import nlargest
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from portal.accounts.models import Account, State
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.insight.models import Figure
from portal.keys.models import ApiKey
from portal.usage.models import UsageDay, UsageDetail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portal.core.actor import Actor

NAME = "usage"
DAYS = 30
# So many are shown; twice as many are kept, for some may be deleted before anybody looks.
TOP, KEPT = 10, 20
# How many accounts one statement adds up, so that none of them takes long however many users there are.
RANGE = 2_000
# Counting may take one hundredth of the time: with a million users it takes seconds, which others would wait for.
MOST_SHARE = 100
NO_KEY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class TopUser:
    """A user who used much."""

    id: UUID
    username: str
    used: int


@dataclass(frozen=True, slots=True)
class TopKey:
    """A key through which much went, and whose it is."""

    name: str
    prefix: str
    user_id: UUID
    username: str
    used: int
    credits: int


@dataclass(frozen=True, slots=True)
class UsageOverview:
    """What the console shows. `days` are local days of each user; models are (name, conversations, credits)."""

    counted_at: datetime
    days: list[tuple[date, int]]
    models: list[tuple[str, int, int]]
    top_users: list[TopUser]
    top_keys: list[TopKey]


def count_usage(*, patiently: bool = False) -> bool:
    """Add everything up and keep it: run by a job, off every request path.

    Patiently means: not yet, when counting took so long the last time that it would be a burden (False then).
    """
    now, began = clock.now(), clock.monotonic()
    before = db.session.get(Figure, NAME, populate_existing=True)
    took = timedelta(seconds=before.value.get("took_s", 0)) if before else timedelta(0)
    if patiently and before is not None and now - before.counted_at < MOST_SHARE * took:
        return False
    first = now.date() - timedelta(days=DAYS - 1)
    days: Counter[date] = Counter()
    models: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    users: list[tuple[int, UUID]] = []
    keys: list[tuple[int, UUID, int]] = []
    for low, high in _ranges():
        for row in _in_range(UsageDay, low, high, first, UsageDay.day, UsageDay.total):
            days[row.day] += int(row.used)
        for row in _in_range(UsageDetail, low, high, first, UsageDetail.model, UsageDetail.used, credits=True):
            models[row.model] += int(row.used)
            spent[row.model] += int(row.credits)
        # Whoever is among the first of all is among the first of the own range.
        users = nlargest(KEPT, users + [(int(row.used), row.user_id) for row in _top_users(low, high, first)])
        keys = nlargest(
            KEPT, keys + [(int(row.used), row.key_id, int(row.credits)) for row in _top_keys(low, high, first)]
        )
    counted: dict[str, Any] = {
        "days": [[(first + timedelta(days=n)).isoformat(), days[first + timedelta(days=n)]] for n in range(DAYS)],
        "models": [[name, used, spent[name]] for name, used in models.most_common(KEPT)],
        "top_users": [[str(user_id), used] for used, user_id in users],
        "top_keys": [[str(key_id), used, credits] for used, key_id, credits in keys],
        "took_s": round(clock.monotonic() - began, 3),
    }
    _keep(counted, now)
    return True


def _keep(counted: dict[str, Any], now: datetime) -> None:
    figure = db.session.get(Figure, NAME)
    if figure is not None:
        figure.value, figure.counted_at = counted, now
        return
    # Whoever loses a race for the very first count keeps the other's, made at the same moment.
    with suppress(IntegrityError), db.session.begin_nested():
        db.session.add(Figure(name=NAME, value=counted, counted_at=now))


def _ranges() -> Iterator[tuple[UUID, UUID]]:
    """(first, last) of every RANGE accounts, in the order of their ids, by steps along that index alone."""
    low = db.session.scalar(select(Account.id).order_by(Account.id).limit(1))
    while low is not None:
        after = select(Account.id).where(Account.id >= low).order_by(Account.id)
        high, following = _first_two(after.offset(RANGE - 1))
        yield low, high or UUID(int=2**128 - 1)
        low = following


def _first_two(ids: Any) -> tuple[UUID | None, UUID | None]:
    found = list(db.session.scalars(ids.limit(2)))
    return (found[0] if found else None), (found[1] if len(found) > 1 else None)


def _in_range(
    table: Any, low: UUID, high: UUID, first: date, by: Any, used: Any, *, credits: bool = False
) -> list[Any]:
    sums = [func.sum(used).label("used")]
    if credits:
        sums.append(func.sum(table.credits).label("credits"))
    query = select(by, *sums).where(table.user_id.between(low, high), table.day >= first).group_by(by)
    return list(db.session.execute(query))


def _top_users(low: UUID, high: UUID, first: date) -> list[Any]:
    used = func.sum(UsageDay.total)
    query = (
        select(UsageDay.user_id, used.label("used"))
        .where(UsageDay.user_id.between(low, high), UsageDay.day >= first)
        .group_by(UsageDay.user_id)
        .order_by(used.desc())
        .limit(KEPT)
    )
    return list(db.session.execute(query))


def _top_keys(low: UUID, high: UUID, first: date) -> list[Any]:
    used = func.sum(UsageDetail.used)
    query = (
        select(UsageDetail.key_id, used.label("used"), func.sum(UsageDetail.credits).label("credits"))
        .where(UsageDetail.user_id.between(low, high), UsageDetail.day >= first, UsageDetail.key_id != NO_KEY)
        .group_by(UsageDetail.key_id)
        .order_by(used.desc())
        .limit(KEPT)
    )
    return list(db.session.execute(query))


@needs(Capability.USER_READ)
def usage_overview(actor: Actor) -> UsageOverview | None:
    """What was added up last; None before the job has run once. Names are read now: the deleted have none."""
    figure = db.session.get(Figure, NAME)
    if figure is None:
        return None
    value = figure.value
    names = _usernames([UUID(user_id) for user_id, _ in value["top_users"]])
    keys = _keys([UUID(key_id) for key_id, _, _ in value["top_keys"]])
    return UsageOverview(
        counted_at=figure.counted_at,
        days=[(date.fromisoformat(day), used) for day, used in value["days"]],
        models=[(name, used, credits) for name, used, credits in value["models"]],
        top_users=[
            TopUser(UUID(user_id), names[UUID(user_id)], used)
            for user_id, used in value["top_users"]
            if UUID(user_id) in names
        ][:TOP],
        top_keys=[
            TopKey(keys[key_id].name, keys[key_id].prefix, keys[key_id].user_id, keys[key_id].username, used, credits)
            for key_id, used, credits in ((UUID(one), used, credits) for one, used, credits in value["top_keys"])
            if key_id in keys
        ][:TOP],
    )


def _usernames(ids: list[UUID]) -> dict[UUID, str]:
    query = select(Account.id, Account.username).where(Account.id.in_(ids), Account.state != State.DELETED.value)
    return {row.id: row.username for row in db.session.execute(query)}


def _keys(ids: list[UUID]) -> dict[UUID, Any]:
    query = (
        select(ApiKey.id, ApiKey.name, ApiKey.prefix, ApiKey.user_id, Account.username)
        .join(Account, Account.id == ApiKey.user_id)
        .where(ApiKey.id.in_(ids), Account.state != State.DELETED.value)
    )
    return {row.id: row for row in db.session.execute(query)}
