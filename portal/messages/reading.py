"""Reading and searching message logs: one's own, and metadata for machines with the scope."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, cast, exists, func, literal_column, or_, select, text
from sqlalchemy.dialects.postgresql import REGCONFIG
from sqlalchemy.orm import aliased

from portal.core.access import Capability, needs
from portal.core.database import db, dialect_name
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.messages.models import Conversation, MessageContent, MessageLog, MessageModel
from portal.messages.opening import open_contents

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from portal.core.actor import Actor

# The very expression of the index in migrations/.
SAID = (
    "jsonb_to_tsvector('simple'::regconfig, "
    "jsonb_path_query_array(message_contents.messages, '$[*].content ? (@.type() == \"string\")'::jsonpath) || "
    "jsonb_path_query_array(message_contents.messages, '$[*].content[*].text'::jsonpath), '[\"string\"]'::jsonb)"
)


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What to look for. Empty means everything."""

    search: str = ""
    user_id: UUID | None = None
    model: str = ""
    conversation: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange with its words."""

    log: MessageLog
    model: str | None
    messages: list[dict[str, Any]]


def matching_words(search: str) -> Any:
    """The condition that a log's words hold every word (or "phrase") of the search; a trailing * is a prefix."""
    parts = re.findall(r'"[^"]+"|\S+', search)[:12]
    if dialect_name() == "postgresql":
        vector: ColumnElement[Any] = literal_column(SAID)
        query: Any = None
        for part in parts:
            bare = part.strip('"')
            if bare.endswith("*") and re.fullmatch(r"\w+\*", bare):
                term = func.to_tsquery(cast("simple", REGCONFIG), bare[:-1] + ":*")
            else:
                term = func.phraseto_tsquery(cast("simple", REGCONFIG), bare)
            query = term if query is None else query.op("&&")(term)
        return vector.op("@@")(query)
    phrases = []
    for part in parts:
        bare = part.strip('"')
        star = "*" if bare.endswith("*") and len(bare) > 1 else ""
        phrases.append('"' + bare.rstrip("*").replace('"', "") + '"' + star)
    # Without a LIMIT: it would keep the oldest hits of everybody, and hide one's own behind those of others.
    return text(
        "message_contents.number IN (SELECT rowid FROM message_search WHERE message_search MATCH :words)"
    ).bindparams(words=f"words : ({' '.join(phrases)})")


@needs(Capability.OWN_CONVERSATIONS)
def own_conversations(
    actor: Actor, *, search: str = "", model: str = "", cursor: str | None = None
) -> Page[Conversation]:
    """One page of the actor's conversations, latest first, narrowed to those whose words match."""
    query = select(Conversation).where(Conversation.user_id == actor.id)
    if search.strip() or model:
        logs = select(MessageLog.conversation_id).where(MessageLog.user_id == actor.id)
        if search.strip():
            logs = logs.join(MessageContent, MessageContent.number == MessageLog.number)
            logs = logs.where(matching_words(search))
        if model:
            logs = logs.join(MessageModel, MessageModel.id == MessageLog.model_id).where(MessageModel.name == model)
        query = query.where(Conversation.id.in_(logs))
    return page_of(query, [Conversation.last_at.desc(), Conversation.id.desc()], cursor, purpose="conversations")


@needs(Capability.OWN_CONVERSATIONS)
def own_conversation(actor: Actor, conversation_id: UUID) -> tuple[Conversation, list[Exchange]]:
    """A conversation of the actor's and its exchanges, oldest first (1,000 at most). Raises NotFound."""
    conversation = db.session.get(Conversation, conversation_id)
    if conversation is None or conversation.user_id != actor.id:
        raise NotFound
    query = (
        select(MessageLog, MessageModel.name)
        .outerjoin(MessageModel, MessageModel.id == MessageLog.model_id)
        .where(MessageLog.conversation_id == conversation.id)
        .order_by(MessageLog.at, MessageLog.number)
        .limit(1000)
    )
    rows = db.session.execute(query).all()
    contents = open_contents(actor, [log for log, _ in rows], what="page")
    return conversation, [Exchange(log, name, contents[log.number].messages) for log, name in rows]


def models_of(user_id: UUID) -> list[str]:
    """The names of the models a user talked to, for the filter."""
    used = exists().where(MessageLog.model_id == MessageModel.id, MessageLog.user_id == user_id)
    return list(db.session.scalars(select(MessageModel.name).where(used).order_by(MessageModel.name).limit(100)))


def _matching_metadata(search: str) -> ColumnElement[bool]:
    """Logs with this very id, conversation or model."""
    talks = select(Conversation.id).where(Conversation.source_id == search)
    models = select(MessageModel.id).where(MessageModel.name == search.lower())
    return or_(MessageLog.source_id == search, MessageLog.conversation_id.in_(talks), MessageLog.model_id.in_(models))


@needs(Capability.LOG_READ)
def list_logs(
    actor: Actor, wanted: LogFilter, cursor: str | None = None, *, size: int = 50
) -> tuple[Page[MessageLog], dict[UUID, tuple[str | None, str]]]:
    """One page of log metadata, newest first, and for each log (model, the client's conversation id).

    The search looks into the words only for who may read them: whoever can ask for words can read them one by one.
    """
    query: Select[MessageLog] = select(MessageLog)
    if wanted.user_id:
        query = query.where(MessageLog.user_id == wanted.user_id)
    if wanted.conversation:
        talk = aliased(Conversation)
        query = query.join(talk, talk.id == MessageLog.conversation_id).where(talk.source_id == wanted.conversation)
    if wanted.model:
        query = query.join(MessageModel, MessageModel.id == MessageLog.model_id)
        query = query.where(MessageModel.name == wanted.model.lower())
    if wanted.since:
        query = query.where(MessageLog.at >= wanted.since)
    if wanted.until:
        query = query.where(MessageLog.at < wanted.until)
    if wanted.search.strip() and actor.may(Capability.LOG_CONTENT):
        query = query.join(MessageContent, MessageContent.number == MessageLog.number)
        query = query.where(matching_words(wanted.search))
    elif wanted.search.strip():
        query = query.where(_matching_metadata(wanted.search.strip()))
    page = page_of(query, [MessageLog.at.desc(), MessageLog.number.desc()], cursor, purpose="logs", size=size)
    named = db.session.execute(
        select(MessageLog.id, MessageModel.name, Conversation.source_id)
        .join(Conversation, Conversation.id == MessageLog.conversation_id)
        .outerjoin(MessageModel, MessageModel.id == MessageLog.model_id)
        .where(MessageLog.id.in_([log.id for log in page.items]))
    )
    return page, {row[0]: (row[1], row[2]) for row in named}
