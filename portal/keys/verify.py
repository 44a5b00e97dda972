"""Is this key good, and may it spend? Checks in the order of the contract, then spends in the same step."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from portal.accounts.days import Calendar
from portal.core import clock, crypto, database
from portal.core import settings as current_settings
from portal.core.access import Capability, needs
from portal.core.ids import new_id
from portal.keys.service import well_formed
from portal.usage.spending import Budget, Cost, Standing, spend
from portal.usage.statements import for_postgres

if TYPE_CHECKING:
    from portal.core.actor import Actor

FIND_KEY = """
SELECT k.id, k.scopes, k.networks, k.expires_at, k.revoked_at, a.id, a.username, a.state, a.time_zone,
       p.name, COALESCE(u.daily_limit_override, p.daily_limit), p.prices, k.last_used_at
FROM api_keys k
JOIN accounts a ON a.id = k.user_id
JOIN users u ON u.account_id = a.id
JOIN plans p ON p.id = a.plan_id
WHERE k.digest = :digest
"""
NOTE_USE = "UPDATE api_keys SET last_used_at = :at WHERE id = :id"
FIND_KEY_POSTGRES, NOTE_USE_POSTGRES = for_postgres(FIND_KEY), for_postgres(NOTE_USE)
USE_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asks. `credits` None means the plan's price for the model."""

    key: str
    conversations: int = 1
    credits: int | None = None
    scopes: tuple[str, ...] = ()
    ip: str | None = None
    model: str = ""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key with its owner and plan, as read for one question."""

    id: UUID
    scopes: list[str]
    networks: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    user_id: UUID
    username: str
    state: str
    time_zone: str
    plan: str
    daily_limit: int | None
    prices: dict[str, int]
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it. `key` and `standing` are None where the key is unknown or dead."""

    code: str
    decision_id: UUID
    key: KnownKey | None = None
    standing: Standing | None = None

    @property
    def valid(self) -> bool:
        """Whether the client may go on."""
        return self.code == "VALID"


@needs(Capability.KEY_VERIFY)
def verify(actor: Actor, question: Question) -> Answer:
    """Check the key and spend the cost, or say by a code why not; nothing is spent unless all passes."""
    key = find_key(question.key)
    if key is None:
        return Answer("KEY_UNKNOWN", new_id())
    code = refusal_of(key, question)
    if code:
        return Answer(code, new_id(), key)
    credits = question.credits if question.credits is not None else key.prices.get(question.model, 0)
    outcome = spend(
        actor,
        Budget(key.user_id, key.daily_limit, Calendar(key.time_zone)),
        Cost(question.conversations, credits),
        key_id=key.id,
        model=question.model,
    )
    if outcome.refused is None:
        note_use(key)
    return Answer(outcome.refused or "VALID", outcome.decision_id, key, outcome.standing)


def find_key(typed: str) -> KnownKey | None:
    """The key of this secret, looked up by its whole digest. A malformed one is looked up too, in the same time."""
    digest = crypto.digest(typed if well_formed(typed) else f"malformed {typed}")
    statement = FIND_KEY if current_settings.current().sqlite else FIND_KEY_POSTGRES
    row = database.raw_connection().execute(statement, {"digest": digest}).fetchone()
    return None if row is None else _known(row)


def _known(row: Any) -> KnownKey:
    def plain(value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    return KnownKey(
        id=database.id_of_raw(row[0]),
        scopes=plain(row[1]),
        networks=plain(row[2]),
        expires_at=database.instant_of_raw(row[3]),
        revoked_at=database.instant_of_raw(row[4]),
        user_id=database.id_of_raw(row[5]),
        username=row[6],
        state=row[7],
        time_zone=row[8],
        plan=row[9],
        daily_limit=row[10],
        prices=plain(row[11]) or {},
        last_used_at=database.instant_of_raw(row[12]),
    )


def note_use(key: KnownKey) -> None:
    """Write down that the key is in use, at most once a minute, so that a busy key costs no second write."""
    now = clock.now()
    if key.last_used_at is not None and now - key.last_used_at < USE_EVERY:
        return
    statement = NOTE_USE if current_settings.current().sqlite else NOTE_USE_POSTGRES
    values = {"at": database.raw_instant(now), "id": database.raw_id(key.id)}
    database.raw_connection().execute(statement, values)


def refusal_of(key: KnownKey, question: Question) -> str | None:
    """The first check that fails, in the order of the contract."""
    if key.revoked_at is not None:
        return "KEY_REVOKED"
    if key.expires_at is not None and key.expires_at <= clock.now():
        return "KEY_EXPIRED"
    if key.state in {"deleted", "closing"}:
        return "ACCOUNT_DELETED"
    if key.state != "active":
        return "ACCOUNT_SUSPENDED"
    if key.networks and not _inside(question.ip, key.networks):
        return "IP_NOT_ALLOWED"
    if set(question.scopes) - set(key.scopes) and key.scopes:
        return "SCOPE_MISSING"
    return None


def _inside(address: str | None, networks: list[str]) -> bool:
    """Whether the address lies in one of the networks; IPv4-mapped IPv6 counts as IPv4, nonsense as outside."""
    try:
        where = ipaddress.ip_address(address or "")
        where = getattr(where, "ipv4_mapped", None) or where
        return any(where in ipaddress.ip_network(network, strict=False) for network in networks)
    except ValueError:
        return False
