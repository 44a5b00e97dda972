"""Status checks: signs of life of those who call. Who has been silent for STATUS_LATE_S seconds is late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from portal.audit import events
from portal.audit.record import Target, record
from portal.clients.models import StatusCheck, StatusClient
from portal.core import clock, settings
from portal.core.access import Capability, needs
from portal.core.database import db, dialect_name
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.core.pages import PAGE_SIZE, page_of
from portal.core.text import BadName, Shown, clean_line, gettext

if TYPE_CHECKING:
    from portal.core.actor import Actor
    from portal.core.pages import Page

KEEP = timedelta(days=7)
MOST_NAMES = 1_000
MOST_MEASURED = 100
MOST_NAME, MOST_NOTE = 80, 500
BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Sign:
    """The latest sign of life of one that posts them, and whether the next is overdue."""

    name: str
    last_at: datetime
    note: str | None
    late: bool


@needs(Capability.STATUS_WRITE)
def post_status_check(actor: Actor, client_name: str, note: str | None) -> StatusCheck:
    """Write down a sign of life, and that it is the latest of this name.

    Raises Invalid at client_name and note, Conflict for a new name when there are too many.
    """
    if actor.id is None:
        raise Forbidden
    name, said = _checked(client_name, note)
    known = db.session.scalar(select(StatusClient.client_name).where(StatusClient.client_name == name))
    if known is None and (db.session.scalar(select(func.count()).select_from(StatusClient)) or 0) >= MOST_NAMES:
        raise Conflict(gettext("Signs of life of %(most)s names are kept already.", most=MOST_NAMES))
    now = clock.now()
    check = StatusCheck(id=new_id(), client_id=actor.id, client_name=name, note=said, created_at=now)
    db.session.add(check)
    insert: Any = (postgresql if dialect_name() == "postgresql" else sqlite).insert(StatusClient)
    latest = {"client_id": actor.id, "last_at": now, "last_note": said}
    db.session.execute(
        insert.values(client_name=name, **latest).on_conflict_do_update(
            index_elements=[StatusClient.client_name], set_=latest, where=StatusClient.last_at <= now
        )
    )
    return check


def _checked(client_name: str, note: str | None) -> tuple[str, str | None]:
    wrong: dict[str, Shown] = {}
    name, said = "", ""
    try:
        name = clean_line(client_name, most=MOST_NAME)
        if not name:
            wrong["client_name"] = gettext("Say who is alive.")
    except BadName as error:
        wrong["client_name"] = str(error)
    try:
        said = clean_line(note or "", most=MOST_NOTE)
    except BadName as error:
        wrong["note"] = str(error)
    if wrong:
        raise Invalid(wrong)
    return name, said or None


@needs(Capability.STATUS_READ)
def list_status_checks(actor: Actor, cursor: str | None = None, *, size: int = PAGE_SIZE) -> Page[StatusCheck]:
    """One page of checks, newest first."""
    order = [StatusCheck.created_at.desc(), StatusCheck.id.desc()]
    return page_of(select(StatusCheck), order, cursor, purpose="status-checks", size=size)


@needs(Capability.STATUS_READ)
def signs_of_life(actor: Actor) -> list[Sign]:
    """Everybody who ever posted one, whoever is silent for longest first."""
    return latest_signs(MOST_NAMES)


def latest_signs(most: int) -> list[Sign]:
    """The same, `most` at most."""
    query = select(StatusClient).order_by(StatusClient.last_at, StatusClient.client_name).limit(most)
    edge = clock.now() - timedelta(seconds=settings.current().status_late_s)
    return [Sign(row.client_name, row.last_at, row.last_note, row.last_at < edge) for row in db.session.scalars(query)]


def signs_now() -> list[Sign] | None:
    """The same of all, for measuring; None while the database does not answer."""
    try:
        return latest_signs(MOST_NAMES)
    except SQLAlchemyError:
        db.session.rollback()
        return None


def count_late() -> int:
    """How many are late."""
    edge = clock.now() - timedelta(seconds=settings.current().status_late_s)
    return db.session.scalar(select(func.count()).select_from(StatusClient).where(StatusClient.last_at < edge)) or 0


@needs(Capability.CLIENT_MANAGE)
def forget_status_client(actor: Actor, name: str) -> None:
    """Wait no longer for signs of life of this name, and those there were go with their time. Raises NotFound."""
    gone = db.session.execute(delete(StatusClient).where(StatusClient.client_name == name))
    if not gone.rowcount:  # type: ignore[attr-defined]  # a delete has one
        raise NotFound
    record(actor, events.STATUS_CLIENT_FORGOTTEN, Target("status client", name=name), {"name": name})


def tidy_status_checks() -> int:
    """Delete a batch of checks that are over seven days old, but the newest of each. Returns how many."""
    newest = exists().where(
        StatusClient.client_name == StatusCheck.client_name, StatusClient.last_at == StatusCheck.created_at
    )
    old = select(StatusCheck.id).where(StatusCheck.created_at < clock.now() - KEEP, ~newest).limit(BATCH)
    gone = db.session.execute(
        delete(StatusCheck).where(StatusCheck.id.in_(old)).execution_options(synchronize_session=False)
    )
    return gone.rowcount  # type: ignore[attr-defined,no-any-return]  # a delete has one
