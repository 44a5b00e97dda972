"""Asking for everything held about oneself, and fetching it: one archive at a time, by a link that runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete

from portal.accounts.lifecycle import target_of
from portal.accounts.models import Account
from portal.audit import events
from portal.audit.record import record
from portal.core import clock, crypto
from portal.core.access import Capability, needs, recently
from portal.core.database import db
from portal.core.errors import Conflict, NotFound
from portal.core.text import gettext
from portal.messages.export_files import OWN_DATA, drop_file, link_of, open_file
from portal.messages.exporting import ENDED, ExportFile
from portal.work.long_work import begin_work, own_work, own_works, stop_work
from portal.work.models import LongWork

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

MOST_KEPT = 5


@needs(Capability.OWN_DATA)
@recently()
def ask_for_own_data(actor: Actor) -> LongWork:
    """Have an archive made of everything held about the actor. Raises Conflict while one is made, or five are kept."""
    account = db.session.get(Account, actor.id)
    if account is None:
        raise NotFound
    made = own_archives(actor)
    if any(work.state not in ENDED for work in made):
        raise Conflict(gettext("An archive is being made already."))
    if len(made) >= MOST_KEPT:
        raise Conflict(gettext("Five archives are kept already. Delete one first."))
    record(actor, events.DATA_ASKED, target_of(account))
    return begin_work(actor, OWN_DATA, {}, epoch=account.epoch)


@needs(Capability.OWN_DATA)
def own_archives(actor: Actor) -> list[LongWork]:
    """The archives the actor asked for, latest first."""
    return own_works(actor, OWN_DATA)


@needs(Capability.OWN_DATA)
def own_archive(actor: Actor, work_id: UUID) -> LongWork:
    """One of them. Raises NotFound."""
    work = own_work(actor, work_id)
    if work.kind != OWN_DATA:
        raise NotFound
    return work


@needs(Capability.OWN_DATA)
def stop_archive(actor: Actor, work_id: UUID) -> None:
    """Stop one that is not done; what was written of it goes away. Twice is as good as once. Raises NotFound."""
    stop_work(actor, own_archive(actor, work_id).id)


@needs(Capability.OWN_DATA)
def drop_archive(actor: Actor, work_id: UUID) -> None:
    """Delete one that has ended, and its file at once. Raises NotFound, Conflict while it is being made."""
    work = own_archive(actor, work_id)
    if work.state not in ENDED:
        raise Conflict(gettext("This is still being made. Stop it first."))
    gone = delete(LongWork).where(LongWork.id == work.id, LongWork.state.in_(ENDED))
    db.session.execute(gone.execution_options(synchronize_session=False))
    drop_file(work.id)


@needs(Capability.OWN_DATA)
def link_to_archive(actor: Actor, work: LongWork) -> str | None:
    """The secret part of the link to the file of the actor's archive; None when there is none, or no more."""
    account = db.session.get(Account, actor.id)
    if account is None or work.owner_id != account.id or work.epoch != account.epoch or work.state != "done":
        return None
    if work.expires_at is None or work.expires_at <= clock.now():
        return None
    return link_of(work)


@needs(Capability.OWN_DATA)
@recently()
def open_archive(actor: Actor, work_id: UUID, link: str) -> ExportFile:
    """The file behind a link, for whoever asked for it and nobody else. Raises NotFound."""
    work = own_archive(actor, work_id)
    if link_to_archive(actor, work) is None or crypto.digest(link) != work.link_digest or work.file is None:
        raise NotFound(gettext("This link is not good, or no longer."))
    file, size = open_file(work.file)
    return ExportFile(f"my-data-{work.created_at:%Y-%m-%d}.zip", "application/zip", size, file)
