"""The quarantine: spooled lines that could not be stored, each with its reason, until somebody tries again or drops it.

What was said in them is shown to nobody here; it lies as it came, or sealed when sealing is on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec
import orjson
from sqlalchemy import delete, func, select

from portal.accounts.models import Account
from portal.audit import events
from portal.audit.record import Target, record
from portal.clients.models import ServiceClient
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.crypto import BadSeal
from portal.core.database import db
from portal.core.errors import Conflict, NotFound
from portal.core.ids import new_id
from portal.core.pages import PAGE_SIZE, Page, page_of
from portal.core.text import gettext
from portal.messages.keeping import kept_of
from portal.messages.lines import WaitingRecord, read_body
from portal.messages.models import QuarantinedRecord
from portal.messages.sealing import open_quarantined, seal_quarantined, sealing_on
from portal.messages.spool_protocol import body_of
from portal.messages.store import store_records
from portal.messages.upserting import upsert_into

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portal.core.actor import Actor
    from portal.core.text import Shown

MOST_AT_ONCE = 100


class Retried(NamedTuple):
    """How many left the quarantine, how many had to stay, and after which to go on; None when all were tried."""

    left: int
    stayed: int
    go_on: UUID | None


class _Said(msgspec.Struct):
    """What can be told of a line that is no record: whatever of it has the right type."""

    client_id: Any = None
    user_id: Any = None
    source_id: Any = None


def set_aside(key: str | None, said: bytes | WaitingRecord, reason: str) -> bool:
    """Keep a line, or a record as it is now, with the reason, in the transaction at hand. False: it is there already.

    Of users of whom nothing is kept, nothing is; without their words, of those whose words are not.
    """
    body = msgspec.json.encode(said) if isinstance(said, WaitingRecord) else body_of(said)
    facts = _facts_of(body or b"")
    user_id = _id(facts.user_id)
    keeping = kept_of([user_id]).get(user_id) if user_id else None
    line = (body or (said if isinstance(said, bytes) else b"")).decode("utf-8", "replace")
    if keeping is not None and keeping.metadata_days is None:
        return False
    if keeping is not None and keeping.content_days is None:
        line = without_said(body or b"")
    record_id = new_id()
    sealed = None
    if sealing_on():
        owner = user_id if keeping is not None else None
        try:
            sealed = seal_quarantined(owner, record_id, line)
        except BadSeal:
            return False  # the key is destroyed: nobody is to read it any more
    source = facts.source_id
    row = upsert_into(QuarantinedRecord).values(
        id=record_id,
        at=clock.now(),
        reason=reason[:300].replace("\0", ""),
        line=None if sealed is not None else line.replace("\0", ""),
        sealed=sealed,
        spool_key=key,
        client_id=_id(facts.client_id),
        user_id=user_id,
        source_id=source[:128].replace("\0", "") if isinstance(source, str) else None,
    )
    fresh = row.on_conflict_do_nothing(index_elements=["spool_key"]).returning(QuarantinedRecord.id)
    return db.session.execute(fresh).scalar() is not None


def _facts_of(body: bytes) -> _Said:
    try:
        return msgspec.json.decode(body, type=_Said)
    except (msgspec.DecodeError, RecursionError):
        return _Said()


def _id(value: Any) -> UUID | None:
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        return None


def without_said(body: bytes) -> str:
    """What is left of a line when nothing that was said may be kept."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return orjson.dumps({**told, "messages": [], "extra": None, "sealed": None}).decode()


@needs(Capability.LOG_QUARANTINE)
def list_quarantined(actor: Actor, cursor: str | None = None, *, size: int = PAGE_SIZE) -> Page[QuarantinedRecord]:
    """What was set aside, newest first: when and why, whose, by which client; never what was said. Raises Malformed."""
    order = [QuarantinedRecord.at.desc(), QuarantinedRecord.id.desc()]
    return page_of(select(QuarantinedRecord), order, cursor, purpose="quarantine", size=size)


def names_on(records: Sequence[QuarantinedRecord]) -> dict[UUID, str]:
    """The names of the users and clients on a page of the quarantine; of those that are gone, none."""
    users = {one.user_id for one in records if one.user_id}
    clients = {one.client_id for one in records if one.client_id}
    found = db.session.execute(
        select(Account.id, Account.username)
        .where(Account.id.in_(users))
        .union_all(select(ServiceClient.id, ServiceClient.name).where(ServiceClient.id.in_(clients)))
    )
    return {thing: name for thing, name in found if name}


def count_quarantined() -> int:
    """How many lines are set aside now."""
    return db.session.scalar(select(func.count()).select_from(QuarantinedRecord)) or 0


@needs(Capability.LOG_QUARANTINE)
def retry_quarantined(actor: Actor, record_id: UUID) -> None:
    """Store a record that was set aside, now that what kept it out is gone; it leaves the quarantine.

    Raises NotFound, and Conflict with the reason that keeps it there.
    """
    aside = _find(record_id)
    stored, reason = _try_again(aside)
    if reason is not None:
        raise Conflict(reason)
    record(actor, events.QUARANTINE_RETRIED, _target(aside), {"count": 1, "stored": stored})


@needs(Capability.LOG_QUARANTINE)
def retry_all_quarantined(actor: Actor, after: UUID | None = None) -> Retried:
    """Try the oldest 100 records that were set aside after this one; what still cannot be stored stays there."""
    query = select(QuarantinedRecord).order_by(QuarantinedRecord.id).limit(MOST_AT_ONCE + 1)
    found = db.session.scalars(query.where(QuarantinedRecord.id > after) if after else query).all()
    tried = found[:MOST_AT_ONCE]
    outcomes = [_try_again(aside) for aside in tried]
    stored = sum(count for count, reason in outcomes if reason is None)
    left = sum(reason is not None for _, reason in outcomes)
    if tried:
        facts = {"count": len(tried), "stored": stored}
        record(actor, events.QUARANTINE_RETRIED, Target("quarantined record"), facts)
    return Retried(len(tried) - left, left, tried[-1].id if len(found) > MOST_AT_ONCE else None)


def _try_again(aside: QuarantinedRecord) -> tuple[int, Shown | None]:
    """How many rows it became, or why it has to stay."""
    try:
        line = aside.line if aside.sealed is None else open_quarantined(_owner(aside), aside.id, aside.sealed)
    except BadSeal:
        return 0, gettext("It cannot be opened any more.")
    found = read_body((line or "").encode())
    if isinstance(found, str):
        return 0, gettext("It still cannot be stored: %(reason)s", reason=found)
    done = store_records([found])
    if done.bad:
        return 0, gettext("It still cannot be stored: %(reason)s", reason=done.bad[0][1])
    db.session.execute(delete(QuarantinedRecord).where(QuarantinedRecord.id == aside.id))
    return done.stored, None


@needs(Capability.LOG_QUARANTINE)
def drop_quarantined(actor: Actor, record_id: UUID) -> None:
    """Delete a record that was set aside, for good. Raises NotFound."""
    aside = _find(record_id)
    db.session.execute(delete(QuarantinedRecord).where(QuarantinedRecord.id == record_id))
    record(actor, events.QUARANTINE_DROPPED, _target(aside), {"count": 1})


def _find(record_id: UUID) -> QuarantinedRecord:
    aside = db.session.get(QuarantinedRecord, record_id)
    if aside is None:
        raise NotFound
    return aside


def _owner(aside: QuarantinedRecord) -> UUID | None:
    return aside.user_id


def _target(aside: QuarantinedRecord) -> Target:
    return Target("quarantined record", aside.id, aside.source_id)
