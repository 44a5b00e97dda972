"""The users of a benchmark, drawn by number: the same number gives the same user and key, so no list is kept.

The secrets can be guessed by whoever reads this. Nothing of it belongs into a database that is used.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from portal.keys.secrets import KEY_PREFIX, SHOWN, checksum

Row = tuple[Any, ...]
ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Asia/Kolkata", "America/Sao_Paulo")
# Everybody came at one day, in order, and had one conversation a day later; what is newer was spent by a benchmark.
CAME: Final = datetime(2026, 1, 1, tzinfo=UTC)
EARLIER_DAY: Final = date(2026, 1, 2)
OWN_CREDITS: Final = 1_000_000_000
PLAN_NAME: Final = "benchmark"
PLAN_ID: Final = hashlib.sha256(PLAN_NAME.encode()).hexdigest()[:32]
# A limit there is, so that it is checked; nobody reaches it.
DAILY_LIMIT: Final = 2_000_000_000
BATCH: Final = 20_000


def _columns(names: str) -> list[str]:
    return names.split()


# Values are written as both databases read them: ids in hex, instants in UTC without a zone, JSON as text.
TABLES: Final = {
    "accounts": _columns(
        "id kind username username_canonical email email_canonical email_verified_at display_name search_text state "
        "plan_id time_zone language epoch version created_at last_seen_at"
    ),
    "users": _columns("account_id"),
    "credit_balances": _columns("user_id plan_credits plan_month own_credits"),
    "api_keys": _columns("id user_id name prefix digest scopes networks created_at last_used_at"),
    "usage_days": _columns("user_id day used closed_at"),
    "usage_details": _columns("user_id day key_id model used credits"),
}
PLAN_COLUMNS: Final = _columns(
    "id name daily_limit credits_per_month key_count retention_days prices version created_at"
)


def plan_row() -> Row:
    """The plan of everybody: a daily limit, no rate, prices to look up."""
    return (PLAN_ID, PLAN_NAME, DAILY_LIMIT, 0, 100, 365, '{"m-1": 0, "m-2": 3}', 1, written(CAME))


def written(instant: datetime) -> str:
    """An instant as both databases read it."""
    return instant.strftime("%Y-%m-%d %H:%M:%S.%f")


def secret_of(number: int) -> str:
    """The key of this user."""
    body = base64.urlsafe_b64encode(hashlib.sha256(b"benchmark key %d" % number).digest())[:43].decode()
    return f"{KEY_PREFIX}{body}{checksum(body)}"


def id_of(what: str, number: int) -> str:
    """A UUID version 7 in hex: in order of the numbers, as ids made one after the other are."""
    chance = hashlib.sha256(f"benchmark {what} {number}".encode()).hexdigest()
    milliseconds = int(CAME.timestamp() * 1000) + number
    return f"{milliseconds:012x}7{chance[:3]}{'89ab'[int(chance[3], 16) % 4]}{chance[4:19]}"


def spread(users: int, count: int) -> list[int]:
    """The numbers of `count` users (all, if there are fewer), evenly apart, so that they share no page."""
    count = min(count, users)
    return [index * users // count for index in range(count)]


def draw(users: int) -> Iterator[dict[str, list[Row]]]:
    """The rows of everybody by table, a batch at a time, parents before children."""
    for first in range(0, users, BATCH):
        rows: dict[str, list[Row]] = {table: [] for table in TABLES}
        for number in range(first, min(first + BATCH, users)):
            _draw_user(number, rows)
        yield rows


def _draw_user(number: int, rows: dict[str, list[Row]]) -> None:
    user_id, key_id, secret = id_of("user", number), id_of("key", number), secret_of(number)
    name = f"user{number:07d}"
    email = f"{name}@example.org"
    at = written(CAME + timedelta(seconds=number % 86_400))
    rows["accounts"].append(
        (
            *(user_id, "user", name, name, email, email, at, f"User {number}", f"{name} {email} user {number}"),
            *("active", PLAN_ID, ZONES[number % len(ZONES)], "en", 1, 1, at, at),
        )
    )
    rows["users"].append((user_id,))
    rows["credit_balances"].append((user_id, 0, None, OWN_CREDITS))
    digest = hashlib.sha256(secret.encode()).digest()
    rows["api_keys"].append((key_id, user_id, "benchmark", secret[:SHOWN], digest, "[]", "[]", at, at))
    rows["usage_days"].append((user_id, EARLIER_DAY.isoformat(), 1, at))
    rows["usage_details"].append((user_id, EARLIER_DAY.isoformat(), key_id, "m-1", 1, 0))
