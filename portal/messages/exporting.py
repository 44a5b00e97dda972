"""Exports of message logs: asked for with the filters of the list, sent at once when small, else made by a long work.

One's own need nothing but the right to them. Those of another need a capability and a reason, as all reading of what
was said does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import delete, func, select

from portal.accounts.models import Account, Kind
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock, crypto, settings
from portal.core.access import Capability, check_case, needs
from portal.core.database import db
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.text import gettext
from portal.messages.export_files import EXPORT, drop_file, link_of, media_type_of, open_file
from portal.messages.export_rows import FORMATS, ExportPlan, batches_of, broken_end_of, count_rows, head_of, newest_log
from portal.work.long_work import begin_work, own_work, own_works, stop_work
from portal.work.models import LongWork

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.messages.reading import LogFilter

log = structlog.get_logger()
MOST_AT_ONCE = 2
MOST_LISTED = 20
ENDED = ("done", "failed", "stopped")


@dataclass(frozen=True, slots=True)
class Export:
    """An export that was asked for: its bytes, or the work that will write them into a file."""

    name: str
    media_type: str
    pieces: Iterator[bytes] | None
    work: LongWork | None


@dataclass(frozen=True, slots=True)
class ExportFile:
    """The file of an export, open for reading."""

    name: str
    media_type: str
    size: int
    file: BinaryIO


@needs(Capability.OWN_EXPORTS)
def export_own_logs(actor: Actor, wanted: LogFilter, file_format: str) -> Export:
    """The actor's own logs that the filter leaves. Raises Forbidden, Invalid at "format", Conflict."""
    if actor.id is None or not actor.may(Capability.OWN_CONVERSATIONS):
        raise Forbidden
    account = db.session.get(Account, actor.id)
    if account is None:
        raise NotFound
    return _export(actor, account, wanted, file_format)


@needs(Capability.LOG_CONTENT, case=True)
def export_logs_of(actor: Actor, user_id: UUID, wanted: LogFilter, file_format: str) -> Export:
    """The logs of a user that the filter leaves, for a reason. The entry of it is written before the first byte.

    Raises Invalid at "reason" and "format", NotFound, Conflict, CaseNeeded.
    """
    check_case(actor, user_id)
    if not (actor.reason or "").strip():
        raise Invalid({"reason": gettext("Say why you need to read this.")})
    return _export(actor, _user(user_id), wanted, file_format)


@needs(Capability.LOG_CONTENT)
def name_to_export(actor: Actor, user_id: UUID) -> str:
    """The name of the user whose logs could be exported. Raises NotFound."""
    return _user(user_id).username


def _user(user_id: UUID) -> Account:
    user = db.session.get(Account, user_id)
    if user is None or user.kind != Kind.USER.value:
        raise NotFound
    return user


def _export(actor: Actor, user: Account, wanted: LogFilter, file_format: str) -> Export:
    if file_format not in FORMATS:
        raise Invalid({"format": gettext("Choose one of the formats.")})
    plan = ExportPlan(user.id, file_format, wanted, newest_log(user.id))
    count = count_rows(plan)
    target = Target("user", user.id, user.username)
    if wanted.search.strip() and user.id != actor.id:
        record(actor, events.CONTENT_SEARCHED, target, {"what": "export", "count": count})
    record(actor, events.LOGS_EXPORTED, target, {"format": file_format, "count": count})
    name = f"message-logs-{clock.now():%Y-%m-%d}.{file_format}"
    if count <= settings.current().export_most_streamed:
        return Export(name, FORMATS[file_format], _pieces(actor, plan), None)
    return Export(name, FORMATS[file_format], None, _begin(actor, plan, count))


def _pieces(actor: Actor, plan: ExportPlan) -> Iterator[bytes]:
    """The bytes of one that is sent at once. One that breaks off says so in its last line.

    The answer has begun by then, its length was never told, and servers end such a one as if it were whole.
    """
    if head := head_of(plan):  # an empty piece is the end of an answer to some servers
        yield head
    try:
        for lines, _ in batches_of(actor, plan):
            yield lines
    except Exception:  # whatever it was, the reader must not take a part for all
        log.exception("export.broken")
        yield broken_end_of(plan)


def _begin(actor: Actor, plan: ExportPlan, count: int) -> LongWork:
    """A work that writes it. Raises Forbidden for whoever could not come back for it, Conflict when too many wait."""
    asker = db.session.get(Account, actor.id) if actor.id else None
    if asker is None:
        raise Forbidden
    if not _has_room(actor):
        words = gettext("Two exports of yours are being made already, or twenty are kept. Wait, or delete one.")
        raise Conflict(words)
    arguments = {**plan.as_arguments(), "reason": actor.reason, "case": actor.case}
    work = begin_work(actor, EXPORT, arguments, epoch=asker.epoch)
    work.total = count
    return work


def _has_room(actor: Actor) -> bool:
    """Whether the actor may have one more made: neither the queue nor the disk belongs to one alone."""
    mine = select(func.count()).where(LongWork.owner_id == actor.id, LongWork.kind == EXPORT)
    waiting = db.session.scalar(mine.where(LongWork.state.in_(("waiting", "running")))) or 0
    return waiting < MOST_AT_ONCE and (db.session.scalar(mine) or 0) < MOST_LISTED


@needs(Capability.OWN_EXPORTS, Capability.LOG_CONTENT)
def own_exports(actor: Actor) -> list[LongWork]:
    """The exports the actor had made, latest first."""
    return own_works(actor, EXPORT)


@needs(Capability.OWN_EXPORTS, Capability.LOG_CONTENT)
def own_export(actor: Actor, work_id: UUID) -> LongWork:
    """One of them. Raises NotFound."""
    work = own_work(actor, work_id)
    if work.kind != EXPORT:
        raise NotFound
    return work


@needs(Capability.OWN_EXPORTS, Capability.LOG_CONTENT)
def stop_export(actor: Actor, work_id: UUID) -> None:
    """Stop one that is not done; what was written of it goes away. Twice is as good as once. Raises NotFound."""
    stop_work(actor, own_export(actor, work_id).id)


@needs(Capability.OWN_EXPORTS, Capability.LOG_CONTENT)
def drop_export(actor: Actor, work_id: UUID) -> None:
    """Delete one that has ended, and its file at once. Raises NotFound, Conflict while it is being made."""
    work = own_export(actor, work_id)
    if work.state not in ENDED:
        raise Conflict(gettext("This is still being made. Stop it first."))
    db.session.execute(delete(LongWork).where(LongWork.id == work.id, LongWork.state.in_(ENDED)))
    drop_file(work.id)


@needs(Capability.OWN_EXPORTS, Capability.LOG_CONTENT)
def link_to_export(actor: Actor, work: LongWork) -> str | None:
    """The secret part of the link to the file of a work of the actor's; None when there is no file, or no more."""
    account = db.session.get(Account, actor.id) if actor.id else None
    if account is None or work.owner_id != account.id or work.epoch != account.epoch or work.state != "done":
        return None
    if work.arguments["user_id"] != str(actor.id) and not actor.may(Capability.LOG_CONTENT):
        return None
    if work.expires_at is None or work.expires_at <= clock.now():
        return None
    return link_of(work)


@needs(Capability.OWN_EXPORTS, Capability.LOG_CONTENT)
def open_export(actor: Actor, work_id: UUID, link: str) -> ExportFile:
    """The file behind a link, for whoever asked for it and nobody else. Raises NotFound."""
    work = own_export(actor, work_id)
    if link_to_export(actor, work) is None or crypto.digest(link) != work.link_digest or work.file is None:
        raise NotFound(gettext("This link is not good, or no longer."))
    file, size = open_file(work.file)
    name = f"message-logs-{work.created_at:%Y-%m-%d}.{work.arguments['format']}"
    return ExportFile(name, media_type_of(work), size, file)
