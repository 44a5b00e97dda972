"""Keys as verify knows them: read once, kept in the process with the versions of key, account and plan.

A kept copy is never trusted to refuse, and the statement that spends compares its versions: a change anywhere is felt
by the next question on every instance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from portal.core import clock, crypto, hot
from portal.core import settings as current_settings
from portal.core.database import id_of_raw, instant_of_raw, raw_instant
from portal.core.networks import parsed_networks
from portal.core.statements import both
from portal.keys.secrets import well_formed
from portal.usage.budget import COLUMNS, TABLES, WIDTH, budget_of_row, json_of_raw
from portal.usage.spending import SpendingKey, values_of

if TYPE_CHECKING:
    from datetime import datetime

    from portal.core.networks import Network
    from portal.usage.budget import Budget

MOST_KEPT = 20_000
KEY_COLUMNS = "k.id, k.version, k.scopes, k.networks, k.expires_at, k.revoked_at, k.daily_limit, k.replaced_by"
FIND = " ".join(
    (
        "SELECT",
        f"{COLUMNS}, {KEY_COLUMNS}",
        "FROM",
        TABLES,
        "JOIN api_keys k ON k.user_id = a.id",
        "WHERE k.digest = :digest",
    )
)
SQLITE, POSTGRES = both({"FIND": FIND})
_kept: dict[bytes, KnownKey] = {}


class KnownKey(msgspec.Struct, frozen=True, gc=False):
    """A key with its owner's budget, as read at one moment. `networks` None means from anywhere."""

    id: UUID
    version: int
    scopes: list[str]
    networks: tuple[Network, ...] | None
    expires_at: datetime | None
    revoked_at: datetime | None
    daily_limit: int | None
    replaced: bool
    budget: Budget
    spending: SpendingKey
    values: dict[str, Any]


def kept_key(digest: bytes, now: datetime) -> KnownKey | None:
    """The copy of this process, if there is one that may still be used."""
    known = _kept.get(digest)
    return known if known is not None and known.budget.is_good_at(now) else None


def read_key(digest: bytes) -> KnownKey | None:
    """The key as it stands in the database now; kept for the next question."""
    now = clock.now()
    texts = SQLITE if current_settings.current().sqlite else POSTGRES
    row = hot.read(texts["FIND"], {"digest": digest, "now": raw_instant(now)})
    if row is None:
        _kept.pop(digest, None)
        return None
    known = _known(row, now)
    if len(_kept) >= MOST_KEPT:
        for old in list(_kept)[: MOST_KEPT // 10]:
            _kept.pop(old, None)
    _kept[digest] = known
    return known


def digest_of(typed: str) -> bytes:
    """By what a typed key is looked up. A malformed one is looked up too, in the same time, and never found."""
    return crypto.digest(typed if well_formed(typed) else f"malformed {typed}")


def _known(row: Any, now: datetime) -> KnownKey:
    key, budget = row[WIDTH:], budget_of_row(row, now)
    spending = SpendingKey(id_of_raw(key[0]), key[1], key[6])
    return KnownKey(
        id=id_of_raw(key[0]),
        version=key[1],
        scopes=json_of_raw(key[2]),
        networks=parsed_networks(listed) if (listed := json_of_raw(key[3])) else None,
        expires_at=instant_of_raw(key[4]),
        revoked_at=instant_of_raw(key[5]),
        daily_limit=key[6],
        replaced=key[7] is not None,
        budget=budget,
        spending=spending,
        values=values_of(budget, spending),
    )
