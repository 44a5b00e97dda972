"""Taking pushed records: understood one by one, then kept in the spool before anything is answered."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import orjson

from portal.core import clock, settings
from portal.core.access import Capability, needs
from portal.core.crypto import BadSeal
from portal.core.data_keys import held_keys
from portal.core.errors import Forbidden
from portal.core.ids import new_id
from portal.core.text import BadName, canonical_email, folded, gettext
from portal.messages.records import UnreadableRecord
from portal.messages.sealing import seal_words, sealing_on
from portal.messages.shape import BadRecord, Record, read_record
from portal.messages.spool import spool_of
from portal.messages.spool_protocol import Entry
from portal.messages.statements import Known, Talker, look_up

if TYPE_CHECKING:
    from datetime import datetime

    from portal.core.actor import Actor


class Result(msgspec.Struct, frozen=True, gc=False):
    """What became of one record: accepted, duplicate or rejected (then `error` says why)."""

    id: str | None
    status: str
    error: str | None = None


class _Named(msgspec.Struct, frozen=True):
    """By which words a record names its user: the folded name, and the address where that may be one."""

    record: Record
    name: str | None
    email: str | None


@needs(Capability.LOG_WRITE)
def push(actor: Actor, raws: list[Any]) -> list[Result]:
    """Accept records into the spool, each judged on its own, in the order given.

    The database is only read, and nothing is kept before it was. Returns only once what was accepted is durable.
    Raises Unavailable (nothing accepted) when it cannot be.
    """
    if actor.id is None:
        raise Forbidden
    results: dict[int, Result] = {}
    read: dict[int, _Named] = {}
    for at, raw in enumerate(raws):
        try:
            if isinstance(raw, BadRecord):
                raise raw
            read[at] = _named(read_record(raw))
        except BadRecord as error:
            results[at] = Result(_said_id(raw), "rejected", str(error))
    if read:
        with held_keys() if sealing_on() else nullcontext():  # a user's key is read once for all records
            results |= _take(actor.id, read)
    return [results[at] for at in range(len(raws))]


def _take(client_id: UUID, read: dict[int, _Named]) -> dict[int, Result]:
    known = _look_up(client_id, read.values())
    results: dict[int, Result] = {}
    entries: dict[int, Entry] = {}
    client = str(client_id)
    received = clock.now()
    for at, named in read.items():
        record = named.record
        source_id = record.source_id or str(new_id())
        try:
            talker = _talker_of(named, known)
            twin = known.stored.get(source_id)
            if twin is not None:
                results[at] = _repeated(source_id, record, twin)
                continue
            # Where nothing may be kept, not even that the id was here is.
            if talker.keeping.metadata_days is not None:
                line = _line(client, source_id, talker, record, received)
                entries[at] = Entry(client, source_id, record.digest, line)
            results[at] = Result(source_id, "accepted")
        except BadRecord as error:
            results[at] = Result(record.source_id, "rejected", str(error))
    if entries:
        twins = spool_of(settings.current()).append(list(entries.values()))
        for (at, entry), twin in zip(entries.items(), twins, strict=True):
            if twin is not None:
                results[at] = _repeated(entry.source_id, read[at].record, twin)
    return results


def _repeated(source_id: str, record: Record, twin: bytes) -> Result:
    """What to say of an id that is taken. An empty digest is of one whose words are gone: nothing to compare with."""
    if twin in {record.digest, b""}:
        return Result(source_id, "duplicate")
    return Result(source_id, "rejected", gettext("another record has this id"))


def _said_id(raw: Any) -> str | None:
    said = raw.said_id if isinstance(raw, UnreadableRecord) else raw.get("id") if isinstance(raw, dict) else None
    return said[:128] if isinstance(said, str) else None


def _line(client_id: str, source_id: str, talker: Talker, record: Record, received: datetime) -> bytes:
    """The record as the spool keeps it: sealed or without its words where these are not to lie there."""
    log_id = new_id()
    messages, extra, sealed = record.messages, record.extra, None
    if talker.keeping.content_days is None:
        messages, extra = [], None
    elif sealing_on():
        try:
            sealed = seal_words(talker.id, log_id, {"messages": messages, "extra": extra})
        except BadSeal:  # erased since we asked who it is
            raise BadRecord(_unknown(record)) from None
        messages, extra = [], None
    line = {
        "log_id": log_id,
        "client_id": client_id,
        "source_id": source_id,
        "digest": record.digest.hex(),
        "user_id": talker.id,
        "conversation": record.conversation or source_id,
        "model": record.model,
        "messages": messages,
        "tokens": record.tokens,
        "latency_ms": record.latency_ms,
        "at": record.at,
        "received_at": received,
        "extra": extra,
    }
    if sealed is not None:
        line["sealed"] = sealed
    return orjson.dumps(line)


def _named(record: Record) -> _Named:
    if record.username is None:
        return _Named(record, None, None)
    name, email = folded(record.username.strip()), None
    if "@" in name:
        try:
            email = canonical_email(name)
        except BadName:
            name = ""
    return _Named(record, name, email)


def _look_up(client_id: UUID, read: Any) -> Known:
    return look_up(
        client_id,
        ids={one.record.user_id for one in read if one.record.user_id},
        names={one.name for one in read if one.name},
        emails={one.email for one in read if one.email},
        sources={one.record.source_id for one in read if one.record.source_id},
    )


def _talker_of(named: _Named, known: Known) -> Talker:
    """Who is meant. Raises BadRecord for nobody, and where id and name mean two."""
    record = named.record
    by_name = known.users.get(named.name or "") or known.users.get(named.email or "")
    talker = by_name if record.user_id is None else known.users.get(record.user_id)
    if talker is None:
        raise BadRecord(_unknown(record))
    if record.username is not None and by_name is not talker:
        raise BadRecord(gettext("user_id and username are not the same user"))
    return talker


def _unknown(record: Record) -> str:
    return gettext("unknown user: %(name)s", name=record.user_id or record.username)
