"""What conversations are called after words of theirs have gone: by the first that are still kept, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select, update

from portal.core.crypto import BadSeal
from portal.core.database import db
from portal.messages.grouping import title_of
from portal.messages.models import Conversation, MessageContent, MessageLog, SealedContent
from portal.messages.sealing import open_content, seal_title, sealing_on

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

CHUNK = 400


def rename_talks(talk_ids: Sequence[UUID]) -> None:
    """Name those of these conversations that have a title anew, in the caller's transaction: it was made of words."""
    for first in range(0, len(talk_ids), CHUNK):
        named = or_(Conversation.title != "", Conversation.sealed_title.is_not(None))
        query = select(Conversation.id, Conversation.user_id)
        query = query.where(Conversation.id.in_(talk_ids[first : first + CHUNK]), named)
        owners = dict(db.session.execute(query).all())
        if not owners:
            continue
        plain, sealed = _first_kept(MessageContent, owners), _first_kept(SealedContent, owners)
        for talk_id, user_id in owners.items():
            box = sealed.get(talk_id)
            said = plain.get(talk_id)
            if said is not None and (box is None or said < box):
                title = _plain_title(said)
            else:
                title = _sealed_title(user_id, box) if box is not None else ""
            _rename(talk_id, user_id, title, seal=said is None)


def _first_kept(table: Any, talks: dict[UUID, UUID]) -> dict[UUID, int]:
    """The first log of each conversation of which words are kept in this table."""
    query = select(MessageLog.conversation_id, func.min(MessageLog.number)).join(
        table, table.number == MessageLog.number
    )
    grouped = query.where(MessageLog.conversation_id.in_(talks)).group_by(MessageLog.conversation_id)
    return dict(db.session.execute(grouped).all())


def _plain_title(number: int) -> str:
    messages = db.session.scalar(select(MessageContent.messages).where(MessageContent.number == number))
    return title_of(messages or [])


def _sealed_title(user_id: UUID, number: int) -> str:
    query = select(MessageLog.id, SealedContent.sealed).join(SealedContent, SealedContent.number == MessageLog.number)
    log_id, sealed = db.session.execute(query.where(MessageLog.number == number)).one()
    try:
        return title_of(open_content(user_id, log_id, sealed)["messages"])
    except BadSeal:
        return ""


def _rename(talk_id: UUID, user_id: UUID, title: str, *, seal: bool) -> None:
    sealed = None
    if title and (seal or sealing_on()):
        try:
            sealed = seal_title(user_id, talk_id, title)
        except BadSeal:  # destroyed: nobody is to read it any more
            sealed = None
        title = ""
    db.session.execute(
        update(Conversation)
        .where(Conversation.id == talk_id)
        .values(title=title, sealed_title=sealed)
        .execution_options(synchronize_session=False)
    )
