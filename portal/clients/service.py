"""Making, listing and disabling service clients, and knowing one by its token."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select

from portal.audit import events
from portal.audit.record import Target, record
from portal.clients.models import ServiceClient
from portal.core import access, clock, crypto, hot, settings
from portal.core.access import Capability, needs, recently
from portal.core.database import db, id_of_raw, raw_id
from portal.core.errors import Forbidden, Invalid, NotFound
from portal.core.hot import Premise
from portal.core.ids import new_id, new_secret
from portal.core.statements import both
from portal.core.text import BadName, clean_line, gettext

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

TOKEN_PREFIX = "dwc_"  # noqa: S105  # the public prefix of tokens, not one
MOST_KEPT = 1_000
MOST_RATE = 1_000_000
COLUMNS = "id, name, scopes, disabled_at, rate_per_minute"
SQLITE, POSTGRES = both(
    {
        "FIND": f"SELECT {COLUMNS} FROM service_clients WHERE digest = :digest",  # noqa: S608  # our own words
        "FIND_BY_ID": f"SELECT {COLUMNS} FROM service_clients WHERE id = :id",  # noqa: S608  # our own words
    }
)
# PostgreSQL tells by which transaction a row was written last: while that is the same, so is the row.
POSTGRES["FIND"] = POSTGRES["FIND"].replace(COLUMNS, f"{COLUMNS}, xmin::text")
GUARD = "EXISTS (SELECT 1 FROM service_clients WHERE digest = %(digest)s AND xmin::text = %(written_by)s)"
_kept: dict[str, tuple[KnownClient, str, dict[str, Any], Any]] = {}


@needs(Capability.CLIENT_MANAGE)
@recently(factor=True)
def create_client(
    actor: Actor, *, name: str, scopes: list[str], rate_per_minute: int | None = None
) -> tuple[ServiceClient, str]:
    """A new client and its token, which is shown this once. Raises Invalid, Forbidden."""
    _check_rate(rate_per_minute)
    try:
        name = clean_line(name)
    except BadName as error:
        raise Invalid({"name": str(error)}) from None
    if not name:
        raise Invalid({"name": gettext("Give the client a name.")})
    if not scopes or set(scopes) - set(access.SCOPES):
        raise Invalid({"scopes": gettext("Choose at least one scope, and only ones that exist.")})
    # What no admin can hold, such as verifying keys, is granted by whoever manages clients.
    if not access.of_scopes(tuple(scopes)) & access.GRANTABLE <= actor.capabilities:
        raise Forbidden(gettext("You cannot grant what you do not hold."))
    if db.session.scalar(select(ServiceClient.id).where(ServiceClient.name == name)) is not None:
        raise Invalid({"name": gettext("Another client has this name.")})
    token = TOKEN_PREFIX + new_secret()
    client = ServiceClient(
        id=new_id(),
        name=name,
        digest=crypto.digest(token),
        hint=token[:9],
        scopes=sorted(set(scopes)),
        rate_per_minute=rate_per_minute,
        created_at=clock.now(),
        created_by=actor.name,
    )
    db.session.add(client)
    record(actor, events.CLIENT_CREATED, target_of(client), {"name": name, "scopes": client.scopes})
    if rate_per_minute is not None:
        _note_rate(actor, client, None)
    return client, token


def _note_rate(actor: Actor, client: ServiceClient, before: int | None) -> None:
    facts = {"name": client.name, "from": before, "to": client.rate_per_minute}
    record(actor, events.CLIENT_RATE_CHANGED, target_of(client), facts)


def _check_rate(rate_per_minute: int | None) -> None:
    if rate_per_minute is not None and not 1 <= rate_per_minute <= MOST_RATE:
        words = gettext("A whole number from 1 to %(most)s.", most=MOST_RATE)
        raise Invalid({"rate_per_minute": words})


@needs(Capability.CLIENT_MANAGE)
@recently(factor=True)
def change_rate(actor: Actor, client_id: UUID, rate_per_minute: int | None) -> ServiceClient:
    """Give a client another rate, felt from its next call on; None is no bound. Raises Invalid, NotFound."""
    _check_rate(rate_per_minute)
    client = client_record(actor, client_id)
    before = client.rate_per_minute
    if before != rate_per_minute:
        client.rate_per_minute = rate_per_minute
        _note_rate(actor, client, before)
    return client


def target_of(client: ServiceClient) -> Target:
    """A client as the target of an audit entry."""
    return Target("client", client.id, client.name)


@needs(Capability.CLIENT_MANAGE)
def list_clients(actor: Actor) -> list[ServiceClient]:
    """All clients, by name."""
    return list(db.session.scalars(select(ServiceClient).order_by(ServiceClient.name).limit(500)))


@needs(Capability.CLIENT_MANAGE)
def client_record(actor: Actor, client_id: UUID) -> ServiceClient:
    """One client, also a disabled one. Raises NotFound."""
    client = db.session.get(ServiceClient, client_id)
    if client is None:
        raise NotFound
    return client


@needs(Capability.CLIENT_MANAGE)
def disable_client(actor: Actor, client_id: UUID) -> ServiceClient:
    """End a client for good: its token is refused from the next request on. Twice is as good as once."""
    client = client_record(actor, client_id)
    if client.disabled_at is None:
        client.disabled_at = clock.now()
        record(actor, events.CLIENT_DISABLED, target_of(client), {"name": client.name})
    return client


class KnownClient(msgspec.Struct, frozen=True, gc=False):
    """An enabled client, as known by its token. `rate` is how many calls it has in a minute; None is no bound."""

    id: UUID
    name: str
    scopes: tuple[str, ...]
    rate: int | None = None


def client_of_token(token: str) -> KnownClient | None:
    """The enabled client whose token this is, as committed now."""
    if not token.startswith(TOKEN_PREFIX):
        return None
    statement, values = _finding(token)
    row = hot.read(statement, values)
    client = _client_of_row(row)
    if client is None:
        _kept.pop(token, None)
        return None
    if len(_kept) >= MOST_KEPT:
        _kept.clear()
    # For GUARD; on SQLite, where the last column is another, nobody reads it.
    _kept[token] = (client, statement, {**values, "written_by": row[-1]}, row)
    return client


def client_of_id(client_id: UUID) -> KnownClient | None:
    """The enabled client of this id, as committed now; for the tokens that it was given."""
    texts = SQLITE if settings.current().sqlite else POSTGRES
    return _client_of_row(hot.read(texts["FIND_BY_ID"], {"id": raw_id(client_id)}))


def kept_client(token: str) -> tuple[KnownClient, Premise] | None:
    """The client whose token this was a while ago, and the premise that it still is: disabling is felt at once."""
    kept = _kept.get(token)
    if kept is None:
        return None
    client, statement, values, row = kept
    return client, Premise(statement, values, row, GUARD)


def _finding(token: str) -> tuple[str, dict[str, Any]]:
    texts = SQLITE if settings.current().sqlite else POSTGRES
    return texts["FIND"], {"digest": crypto.digest(token)}


def _client_of_row(row: Any) -> KnownClient | None:
    if row is None or row[3] is not None:
        return None
    return KnownClient(id_of_raw(row[0]), row[1], _scopes(row[2]), row[4])


def _scopes(raw: Any) -> tuple[str, ...]:
    return _scopes_of_text(raw) if isinstance(raw, str) else tuple(raw)


@lru_cache(maxsize=1000)
def _scopes_of_text(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))
