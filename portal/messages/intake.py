"""Taking pushed records: understood one by one, then kept in the spool before anything is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from sqlalchemy import or_, select

from portal.accounts.models import Account, Kind, State
from portal.core import clock, settings
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import Forbidden
from portal.core.ids import new_id
from portal.core.text import BadName, canonical_email, folded, gettext
from portal.messages.models import MessageLog
from portal.messages.shape import BadRecord, Record, read_record
from portal.messages.spool import spool_of

if TYPE_CHECKING:
    from portal.core.actor import Actor

MOST_RECORDS = 1000
CHUNK = 400


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one record: accepted, duplicate or rejected (then `error` says why)."""

    id: str | None
    status: str
    error: str | None = None


@needs(Capability.LOG_WRITE)
def push(actor: Actor, raws: list[Any]) -> list[Result]:
    """Accept records into the spool, each judged on its own, in the order given.

    Returns only once what was accepted is durable. Raises Unavailable (nothing accepted) when it cannot be.
    """
    if actor.id is None:
        raise Forbidden
    client = str(actor.id)
    results: list[Result | None] = [None] * len(raws)
    read: dict[int, Record] = {}
    for at, raw in enumerate(raws):
        try:
            read[at] = read_record(raw)
        except BadRecord as error:
            results[at] = Result(_said_id(raw), "rejected", str(error))
    users = _users_of(list(read.values()))
    stored = _stored(actor.id, [record.source_id for record in read.values() if record.source_id])
    spool = spool_of(settings.current())
    lines: list[dict[str, Any]] = []
    here: dict[str, bytes] = {}
    received = clock.now()
    for at, record in read.items():
        user_id = users.get(_who(record))
        if user_id is None:
            named = record.username if record.user_id is None else str(record.user_id)
            results[at] = Result(record.source_id, "rejected", gettext("unknown user: %(name)s", name=named))
            continue
        source_id = record.source_id or str(new_id())
        twin = here.get(source_id) or stored.get(source_id) or spool.known(client, source_id)
        if twin is not None:
            same = twin == record.digest
            results[at] = Result(
                source_id,
                "duplicate" if same else "rejected",
                None if same else gettext("another record has this id"),
            )
            continue
        here[source_id] = record.digest
        lines.append(_line(client, source_id, user_id, record, received.isoformat()))
        results[at] = Result(source_id, "accepted")
    if lines:
        spool.append(lines)
    return [result for result in results if result is not None]


def _said_id(raw: Any) -> str | None:
    said = raw.get("id") if isinstance(raw, dict) else None
    return said[:128] if isinstance(said, str) else None


def _line(client: str, source_id: str, user_id: UUID, record: Record, received: str) -> dict[str, Any]:
    return {
        "log_id": str(new_id()),
        "client_id": client,
        "source_id": source_id,
        "digest": record.digest.hex(),
        "user_id": str(user_id),
        "conversation": record.conversation or source_id,
        "model": record.model,
        "messages": record.messages,
        "tokens": record.tokens,
        "latency_ms": record.latency_ms,
        "at": record.at.isoformat(),
        "received_at": received,
        "extra": record.extra,
    }


def _who(record: Record) -> str:
    return str(record.user_id) if record.user_id else folded((record.username or "").strip())


def _users_of(records: list[Record]) -> dict[str, UUID]:
    """Live users by id, canonical username or e-mail, asked in few statements."""
    ids = {record.user_id for record in records if record.user_id}
    names = {folded((record.username or "").strip()) for record in records if not record.user_id}
    emails = set()
    for name in list(names):
        if "@" in name:
            try:
                emails.add(canonical_email(name))
            except BadName:
                names.discard(name)
    found: dict[str, UUID] = {}
    for chunk in _chunks([*ids, *names, *emails]):
        row_ids = [part for part in chunk if isinstance(part, UUID)]
        texts = [part for part in chunk if isinstance(part, str)]
        query = select(Account.id, Account.username_canonical, Account.email_canonical).where(
            Account.kind == Kind.USER.value,
            Account.state != State.DELETED.value,
            or_(
                Account.id.in_(row_ids),
                Account.username_canonical.in_(texts),
                Account.email_canonical.in_(texts),
            ),
        )
        for row in db.session.execute(query):
            found[str(row.id)] = row.id
            found[row.username_canonical] = row.id
            if row.email_canonical:
                found[row.email_canonical] = row.id
    return found


def _stored(client_id: UUID, source_ids: list[str]) -> dict[str, bytes]:
    """Digests of records that the database holds already."""
    known: dict[str, bytes] = {}
    for chunk in _chunks(source_ids):
        query = select(MessageLog.source_id, MessageLog.digest).where(
            MessageLog.client_id == client_id, MessageLog.source_id.in_(chunk)
        )
        known |= {row.source_id: row.digest for row in db.session.execute(query)}
    return known


def _chunks(values: list[Any]) -> list[list[Any]]:
    return [values[at : at + CHUNK] for at in range(0, len(values), CHUNK)]


def read_body(raw: bytes, media_type: str) -> list[Any]:
    """The records of a body: one object, {"records": […]}, or NDJSON. Raises BadRecord for what cannot be read."""
    if media_type == "application/x-ndjson":
        lines = [line for line in raw.split(b"\n") if line.strip()]
        return [_loads(line) for line in lines]
    body = _loads(raw)
    if isinstance(body, dict) and "records" in body:
        if set(body) != {"records"} or not isinstance(body["records"], list):
            raise BadRecord(gettext("records must be a list, and the only field"))
        return list(body["records"])
    return [body]


def _loads(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BadRecord(gettext("this is not valid JSON in UTF-8")) from None
