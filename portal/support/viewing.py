"""Seeing what a user sees: their own pages for a quarter of an hour, read-only, through the masks of whoever looks.

Whoever looks stays who they are: nothing here gives an actor the rights of the user. Each page asks `in_viewing` first,
which finds the viewing that is open and gives the actor with its grounds; what the page shows is read for that actor.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select, update

from portal.accounts.directory import user_record
from portal.accounts.lifecycle import target_of
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, check_case, needs, outranks
from portal.core.database import db
from portal.core.errors import Forbidden, NotFound
from portal.core.ids import new_id
from portal.core.text import gettext
from portal.support.models import Viewing

if TYPE_CHECKING:
    from uuid import UUID

    from portal.accounts.models import User
    from portal.core.actor import Actor

LASTS = timedelta(minutes=15)


class ViewingOver(Forbidden):
    """The pages of this user are not open to the actor, or not any more; it can be begun again."""

    def __init__(self, *, was_open: bool) -> None:
        super().__init__(
            gettext("The time for seeing these pages is over.")
            if was_open
            else gettext("Say first why you need to see these pages.")
        )


@needs(Capability.USER_VIEW_AS, case=True)
def begin_viewing(actor: Actor, user_id: UUID) -> Viewing:
    """Open a user's own pages to the actor for 15 minutes, for a reason. While they are open already, nothing changes.

    Raises CaseNeeded, Invalid at "reason", NotFound, Forbidden.
    """
    user = viewed_user(actor, user_id)
    check_case(actor, user_id)
    if (found := _find_open(actor, user_id)) is not None:
        return found
    if actor.id is None:
        raise Forbidden
    now = clock.now()
    viewing = Viewing(
        id=new_id(),
        viewer_id=actor.id,
        user_id=user_id,
        reason=(actor.reason or "").strip(),
        case=actor.case,
        at=now,
        until=now + LASTS,
    )
    db.session.add(viewing)
    record(_grounded(actor, viewing), events.VIEW_OPENED, target_of(user), {"until": viewing.until.isoformat()})
    return viewing


@needs(Capability.USER_VIEW_AS)
def in_viewing(actor: Actor, user_id: UUID, *, noted: bool = False) -> tuple[Viewing, Actor]:
    """The viewing of this user's pages that the actor has open, and the actor with its grounds.

    Leaves an entry of the look, unless what is read next leaves one itself (`noted`). Raises ViewingOver, CaseNeeded,
    NotFound.
    """
    user = viewed_user(actor, user_id)
    check_case(actor, user_id)
    viewing = _find_open(actor, user_id)
    if viewing is None:
        raise ViewingOver(was_open=_find_any(actor, user_id))
    grounded = _grounded(actor, viewing)
    if not noted:
        record(grounded, events.RECORD_VIEWED, target_of(user))
    return viewing, grounded


@needs(Capability.USER_VIEW_AS)
def end_viewing(actor: Actor, user_id: UUID) -> None:
    """Close the user's pages again, also once the case is over. Twice is as good as once. Raises NotFound."""
    user = viewed_user(actor, user_id)
    now = clock.now()
    ended = db.session.scalars(
        update(Viewing)
        .where(Viewing.viewer_id == actor.id, Viewing.user_id == user_id)
        .where(Viewing.ended_at.is_(None), Viewing.until > now)
        .values(ended_at=now)
        .returning(Viewing)
        .execution_options(synchronize_session=False)
    ).all()
    for viewing in ended:
        record(_grounded(actor, viewing), events.VIEW_CLOSED, target_of(user))


@needs(Capability.USER_VIEW_AS)
def viewed_user(actor: Actor, user_id: UUID) -> User:
    """The user whose pages the actor wants to see. Raises NotFound, Forbidden for one of no lower rank."""
    user = user_record(actor, user_id)
    if not outranks(actor, user.rank):
        raise Forbidden
    return user


def _find_open(actor: Actor, user_id: UUID) -> Viewing | None:
    query = select(Viewing).where(
        Viewing.viewer_id == actor.id,
        Viewing.user_id == user_id,
        Viewing.until > clock.now(),
        Viewing.ended_at.is_(None),
    )
    # Another case is another reason: it opens the pages anew.
    same = Viewing.case.is_(None) if actor.case is None else Viewing.case == actor.case
    return db.session.scalars(query.where(same).order_by(Viewing.until.desc()).limit(1)).first()


def _find_any(actor: Actor, user_id: UUID) -> bool:
    mine = select(Viewing.id).where(Viewing.viewer_id == actor.id, Viewing.user_id == user_id)
    return db.session.scalar(mine.limit(1)) is not None


def _grounded(actor: Actor, viewing: Viewing) -> Actor:
    return msgspec.structs.replace(actor, on_behalf_of=viewing.user_id, reason=viewing.reason, case=viewing.case)


def check_viewing(actor: Actor, user_id: UUID) -> None:
    """Whether the actor comes from `in_viewing` of this user. Raises NotFound."""
    if actor.on_behalf_of != user_id or not (actor.reason or "").strip():
        raise NotFound
