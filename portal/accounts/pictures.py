"""The picture of an account: drawn anew when it is sent, shown under an address that changes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete

from portal.accounts.lifecycle import target_of
from portal.accounts.models import Account, Kind, Picture, State
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs, open_to_all
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.core.pictures import square_webp

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

# Who sees the record of an account of a kind sees its picture.
SEES = {
    Kind.USER.value: Capability.USER_FIND,
    Kind.STAFF.value: Capability.STAFF_MANAGE,
    Kind.ADMIN.value: Capability.ADMIN_MANAGE,
}


@needs(Capability.OWN_PROFILE)
def set_picture(actor: Actor, content: bytes) -> None:
    """Put a picture in the place of the one before, whose address is dead from now.

    Raises TooLarge, Invalid at "picture", Unavailable.
    """
    drawn = square_webp(content)  # before the first row is read: it takes a while
    account = _own(actor)
    _drop(account)
    picture = Picture(id=new_id(), account_id=account.id, content=drawn, created_at=clock.now())
    db.session.add(picture)
    account.picture_id = picture.id
    record(actor, events.PICTURE_CHANGED, target_of(account))


@needs(Capability.OWN_PROFILE)
def remove_picture(actor: Actor) -> None:
    """Take the own picture away, for good. Where there is none, nothing happens."""
    account = _own(actor)
    if account.picture_id is None:
        return
    _drop(account)
    account.picture_id = None
    record(actor, events.PICTURE_REMOVED, target_of(account))


@open_to_all("one's own picture, and that of whoever's record one may see; all others are not there")
def open_picture(actor: Actor, picture_id: UUID) -> bytes:
    """The picture as WebP. Raises NotFound."""
    picture = db.session.get(Picture, picture_id)
    account = db.session.get(Account, picture.account_id) if picture else None
    if picture is None or account is None or account.state == State.DELETED or account.picture_id != picture.id:
        raise NotFound
    if account.id != actor.id and not actor.may(SEES[account.kind]):
        raise NotFound
    return picture.content


def _own(actor: Actor) -> Account:
    account = db.session.get(Account, actor.id)
    if account is None:
        raise NotFound
    return account


def _drop(account: Account) -> None:
    gone = delete(Picture).where(Picture.account_id == account.id)
    db.session.execute(gone.execution_options(synchronize_session=False))
