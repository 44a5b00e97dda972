"""Reading message logs: one's own with their words, those of others without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, exists, or_, select

from portal.accounts.models import Account
from portal.clients.models import ServiceClient
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.pages import PAGE_SIZE, Page, page_of
from portal.messages.hits import NEWEST
from portal.messages.models import Conversation, MessageLog, MessageModel
from portal.messages.opening import open_contents, open_titles, search_others, search_own, state_of
from portal.messages.sealing import sealing_on
from portal.messages.snippets import Piece, make_snippet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Select

    from portal.core.actor import Actor
    from portal.messages.opening import State

MOST_EXCHANGES = 1_000
MOST_NAMED = 1_000


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What to look for. Empty means everything."""

    search: str = ""
    user_id: UUID | None = None
    model: str = ""
    conversation: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def narrows(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.search.strip() or self.model or self.conversation or self.since or self.until)


@dataclass(frozen=True, slots=True)
class LogSeen:
    """A log without its words: what may be seen of it by whoever may see that it is there."""

    id: UUID
    source_id: str
    user_id: UUID
    username: str
    conversation: str
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    latency_ms: int | None
    at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation of one's own; the title is empty where no words of it are kept."""

    id: UUID
    source_id: str
    title: str
    started_at: datetime
    last_at: datetime
    exchanges: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange with its words."""

    log: LogSeen
    state: State
    messages: list[dict[str, Any]]
    extra: dict[str, Any] | None

    @property
    def model(self) -> str | None:
        """The name of the model."""
        return self.log.model


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation in which a search found something, and where: (log, the place), newest first."""

    talk: Talk
    hits: list[tuple[LogSeen, list[Piece]]]


def searches_words() -> bool:
    """Whether a search looks into what was said; where that is sealed, it looks at the metadata only."""
    return not sealing_on()


def narrow_logs(query: Select[Any], wanted: LogFilter) -> Select[Any]:
    """The logs that a filter leaves, whatever it searches for."""
    if wanted.user_id:
        query = query.where(MessageLog.user_id == wanted.user_id)
    if wanted.conversation:
        talks = select(Conversation.id).where(Conversation.source_id == wanted.conversation)
        if wanted.user_id:
            talks = talks.where(Conversation.user_id == wanted.user_id)
        query = query.where(MessageLog.conversation_id.in_(talks))
    if wanted.model:
        model = select(MessageModel.id).where(MessageModel.name == wanted.model.lower())
        query = query.where(MessageLog.model_id == model.scalar_subquery())
    if wanted.since:
        query = query.where(MessageLog.at >= wanted.since)
    if wanted.until:
        query = query.where(MessageLog.at < wanted.until)
    return query


def matching_metadata(search: str, user_id: UUID | None = None) -> ColumnElement[bool]:
    """Logs with this very id, conversation or model."""
    models = select(MessageModel.id).where(MessageModel.name == search.lower())
    if (model := db.session.scalar(models)) is not None:
        return MessageLog.model_id == model
    # By its client, for an id is looked up together with it, and clients are few.
    clients = select(ServiceClient.id)
    named = select(MessageLog.number).where(MessageLog.client_id.in_(clients), MessageLog.source_id == search)
    talks = select(Conversation.id).where(Conversation.source_id == search)
    if user_id:
        talks = talks.where(Conversation.user_id == user_id)
    return or_(
        MessageLog.number.in_(list(db.session.scalars(named.limit(MOST_NAMED)))),
        MessageLog.conversation_id.in_(list(db.session.scalars(talks.limit(MOST_NAMED)))),
    )


@needs(Capability.OWN_CONVERSATIONS)
def own_conversations(actor: Actor, *, cursor: str | None = None) -> Page[Talk]:
    """One page of the actor's conversations, latest first."""
    query = select(Conversation).where(Conversation.user_id == actor.id)
    page = page_of(query, [Conversation.last_at.desc(), Conversation.id.desc()], cursor, purpose="conversations")
    return Page(_talks(actor, page.items), page.next_cursor, page.previous_cursor)


def _talks(actor: Actor, found: Sequence[Conversation]) -> list[Talk]:
    titles = open_titles(actor, found)
    return [Talk(one.id, one.source_id, titles[one.id], one.started_at, one.last_at, one.exchanges) for one in found]


@needs(Capability.OWN_CONVERSATIONS)
def own_logs(actor: Actor, wanted: LogFilter, cursor: str | None = None, *, size: int = PAGE_SIZE) -> Page[LogSeen]:
    """One page of the actor's logs that a filter leaves, newest first, without their words; as `own_hits` searches."""
    page = _own_page(actor, wanted, cursor, size)
    return Page(_seen(page.items), page.next_cursor, page.previous_cursor)


@needs(Capability.OWN_CONVERSATIONS)
def own_log(actor: Actor, log_id: UUID) -> Exchange:
    """One log of the actor's with its words. Raises NotFound."""
    return _exchanges(actor, [_find_log(log_id, actor.id)], what="api")[0]


def _own_page(actor: Actor, wanted: LogFilter, cursor: str | None, size: int) -> Page[MessageLog]:
    query, search = narrow_logs(select(MessageLog).where(MessageLog.user_id == actor.id), wanted), wanted.search.strip()
    if search and searches_words():
        return search_own(actor, query, search, cursor, size=size)
    if search:
        query = query.where(matching_metadata(search, actor.id))
    return page_of(query, NEWEST, cursor, purpose="logs", size=size)


@needs(Capability.OWN_CONVERSATIONS)
def own_hits(actor: Actor, wanted: LogFilter, cursor: str | None = None, *, size: int = PAGE_SIZE) -> Page[Found]:
    """One page of the actor's logs that a filter leaves, newest first, put together by conversation.

    A search looks for words, or with ENCRYPT_MESSAGES for an id, a conversation or a model.
    """
    page, search = _own_page(actor, wanted, cursor, size), wanted.search.strip()
    contents = open_contents(actor, page.items, what="search")
    places: dict[UUID, list[tuple[LogSeen, list[Piece]]]] = {}
    for log, seen in zip(page.items, _seen(page.items), strict=True):
        snippet = make_snippet(contents[log.number].messages, search if searches_words() else "")
        places.setdefault(log.conversation_id, []).append((seen, snippet))
    talks = db.session.scalars(select(Conversation).where(Conversation.id.in_(places))).all()
    by_id = {talk.id: talk for talk in _talks(actor, talks)}
    found = [Found(by_id[talk_id], hits) for talk_id, hits in places.items()]
    return Page(found, page.next_cursor, page.previous_cursor)


@needs(Capability.OWN_CONVERSATIONS)
def own_conversation(actor: Actor, conversation_id: UUID) -> tuple[Talk, list[Exchange]]:
    """A conversation of the actor's and its exchanges, oldest first (1,000 at most). Raises NotFound."""
    conversation = db.session.get(Conversation, conversation_id)
    if conversation is None or conversation.user_id != actor.id:
        raise NotFound
    query = select(MessageLog).where(MessageLog.conversation_id == conversation.id)
    logs = db.session.scalars(query.order_by(MessageLog.at, MessageLog.number).limit(MOST_EXCHANGES)).all()
    return _talks(actor, [conversation])[0], _exchanges(actor, logs, what="page")


def _exchanges(actor: Actor, logs: Sequence[MessageLog], *, what: str) -> list[Exchange]:
    contents = open_contents(actor, logs, what=what)
    opened = [contents[log.number] for log in logs]
    return [
        Exchange(seen, content.state, content.messages, content.extra)
        for seen, content in zip(_seen(logs), opened, strict=True)
    ]


def models_of(user_id: UUID | None = None) -> list[str]:
    """The names of the models that a user, or anybody, talked to, for the filter."""
    query = select(MessageModel.name).order_by(MessageModel.name).limit(100)
    if user_id:
        query = query.where(exists().where(MessageLog.model_id == MessageModel.id, MessageLog.user_id == user_id))
    return list(db.session.scalars(query))


def _seen(logs: Sequence[MessageLog]) -> list[LogSeen]:
    """The logs without their words."""
    talks = _named(
        select(Conversation.id, Conversation.source_id), Conversation.id, {log.conversation_id for log in logs}
    )
    models = _named(select(MessageModel.id, MessageModel.name), MessageModel.id, {log.model_id for log in logs})
    users = _named(select(Account.id, Account.username), Account.id, {log.user_id for log in logs})
    return [
        LogSeen(
            id=log.id,
            source_id=log.source_id,
            user_id=log.user_id,
            username=users[log.user_id],
            conversation=talks[log.conversation_id],
            model=models.get(log.model_id),
            prompt_tokens=log.prompt_tokens,
            completion_tokens=log.completion_tokens,
            total_tokens=log.total_tokens,
            latency_ms=log.latency_ms,
            at=log.at,
            received_at=log.received_at,
        )
        for log in logs
    ]


def _named(query: Select[Any, str], key: Any, wanted: Iterable[Any]) -> dict[Any, str]:
    """Names by id, of those wanted."""
    return {row[0]: row[1] for row in db.session.execute(query.where(key.in_(wanted)))}


@needs(Capability.LOG_READ, Capability.LOG_METADATA)
def list_logs(actor: Actor, wanted: LogFilter, cursor: str | None = None, *, size: int = PAGE_SIZE) -> Page[LogSeen]:
    """One page of log metadata, newest first. A search looks for an id, a conversation or a model, never for words."""
    query = narrow_logs(select(MessageLog), wanted)
    if search := wanted.search.strip():
        query = query.where(matching_metadata(search, wanted.user_id))
    page = page_of(query, NEWEST, cursor, purpose="logs", size=size)
    return Page(_seen(page.items), page.next_cursor, page.previous_cursor)


@needs(Capability.LOG_CONTENT)
def search_logs(
    actor: Actor, wanted: LogFilter, cursor: str | None = None, *, what: str, size: int = PAGE_SIZE
) -> Page[LogSeen]:
    """One page of log metadata, newest first, of logs in which every word was said. Only while words are searched.

    Raises Forbidden, Invalid at "reason": whoever can ask for words can read them one by one.
    """
    logs = narrow_logs(select(MessageLog), wanted)
    page = search_others(actor, logs, wanted.search, cursor, user_id=wanted.user_id, what=what, size=size)
    return Page(_seen(page.items), page.next_cursor, page.previous_cursor)


@needs(Capability.LOG_READ, Capability.LOG_METADATA)
def see_log(actor: Actor, log_id: UUID, *, user_id: UUID | None = None) -> tuple[LogSeen, State]:
    """A log without its words, of this user if one is named, and whether they could be read. Raises NotFound."""
    log = _find_log(log_id, user_id)
    return _seen([log])[0], state_of(actor, log)


@needs(Capability.LOG_CONTENT)
def read_log(actor: Actor, log_id: UUID, *, what: str, user_id: UUID | None = None) -> Exchange:
    """A log of another with what was said in it. Raises NotFound, Forbidden, Invalid at "reason"."""
    return _exchanges(actor, [_find_log(log_id, user_id)], what=what)[0]


def _find_log(log_id: UUID, user_id: UUID | None) -> MessageLog:
    log = db.session.scalars(select(MessageLog).where(MessageLog.id == log_id)).first()
    if log is None or (user_id is not None and log.user_id != user_id):
        raise NotFound
    return log
