"""One search box: whatever the caller can read out leads to the user it belongs to.

Whole values find whatever the level sees of them; of what it sees masked no part does. Parts of names find for
everybody, as names are not masked. A search itself leaves no entry: the record that it opens does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.accounts.directory import find_users, users_among
from portal.audit.models import AuditEntry
from portal.clients.models import ServiceClient
from portal.core.access import Capability, needs
from portal.core.database import begins_with, db
from portal.core.ids import parse_id
from portal.keys.models import ApiKey
from portal.keys.secrets import KEY_PREFIX, SHOWN
from portal.messages.models import Conversation, MessageLog
from portal.support.models import SupportCase
from portal.support.record import email_for
from portal.usage.decisions import read_decision
from portal.usage.refusal_reading import find_refusal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from portal.accounts.models import Account
    from portal.core.actor import Actor

MOST_HITS = 20
MOST_TYPED = 1_000
LEAST_OF_KEY = 7
# Whatever begins like a key or a client's token and goes on for longer than is ever shown of one.
SECRET = re.compile(r"\b(dwc?_[A-Za-z0-9_-]{7})[A-Za-z0-9_-]+")
SHOWN_KEY = re.compile(r"\bdw_[A-Za-z0-9_-]{7}(?![A-Za-z0-9_-])")
NUMBER = re.compile(r"[Cc]-[A-Za-z0-9]{4,10}")
SOURCE_LENGTH = 128


class Clue(StrEnum):
    """By what a user was found."""

    NAME = "name"
    EMAIL = "email"
    KEY = "key"
    ACCOUNT = "account"
    REFUSAL = "refusal"
    SPENT = "spent"
    REQUEST = "request"
    CONVERSATION = "conversation"
    LOG = "log"
    CASE = "case"


@dataclass(frozen=True, slots=True)
class Hit:
    """A user who was found, masked, and by what; `thing` names what it was, as its own page wants it."""

    id: UUID
    username: str
    display_name: str
    email: str
    state: str
    last_seen_at: datetime
    clue: Clue = Clue.NAME
    thing: str = ""


def without_secrets(typed: str) -> str:
    """What was typed, of whole keys and tokens only the start that is shown everywhere."""
    return SECRET.sub(r"\1", typed)


@needs(Capability.USER_FIND)
def search_desk(actor: Actor, typed: str, *, most: int = MOST_HITS) -> list[Hit]:
    """Users that match, best first, masked as the actor's level wants it; nobody for what is too long or holds NUL."""
    wanted = without_secrets(typed.strip())
    if not wanted or "\0" in wanted or len(wanted) > MOST_TYPED:
        return []
    if (whole := parse_id(wanted)) is not None:
        return _each_once(_by_id(actor, whole, wanted, most))
    if (decision := read_decision(wanted)) is not None:
        return _hits(actor, Clue.SPENT, [decision.user_id], wanted)
    clue = Clue.EMAIL if "@" in wanted else Clue.NAME
    hits = [_hit(actor, user, clue) for user in find_users(actor, wanted, most=most)]
    if (start := _start_of_key(wanted)) is not None:
        hits += _hits(actor, Clue.KEY, db.session.scalars(select(ApiKey.user_id).where(_begins(start)).limit(most)))
    if NUMBER.fullmatch(wanted) and actor.may(Capability.CASE_WORK):
        about = select(SupportCase.user_id).where(SupportCase.number == wanted.upper())
        hits += _hits(actor, Clue.CASE, db.session.scalars(about), wanted.upper())
    if len(wanted) <= SOURCE_LENGTH and actor.may(Capability.LOG_METADATA):
        hits += _by_source(actor, wanted, most)
    return _each_once(hits)[:most]


def _by_id(actor: Actor, whole: UUID, typed: str, most: int) -> list[Hit]:
    """Whose id this is: of a user, a refusal, a request, a log or a conversation."""
    hits = _hits(actor, Clue.ACCOUNT, [whole])
    if (refused := find_refusal(actor, str(whole))) is not None:
        hits += _hits(actor, Clue.REFUSAL, [refused.user_id], str(refused.id))
    acts = select(AuditEntry.actor_id, AuditEntry.target_id).where(AuditEntry.request_id == whole.hex).limit(most)
    concerned = {one for act in db.session.execute(acts) for one in act if one is not None}
    hits += _hits(actor, Clue.REQUEST, concerned, whole.hex)
    if actor.may(Capability.LOG_METADATA):
        logged = select(MessageLog.user_id, MessageLog.source_id).where(MessageLog.id == whole)
        for owner, source in db.session.execute(logged):
            hits += _hits(actor, Clue.LOG, [owner], source)
        # Callers may name their own logs and conversations by ids too.
        hits += _by_source(actor, typed, most)
    return hits


def _by_source(actor: Actor, typed: str, most: int) -> list[Hit]:
    """Whose log or conversation a service calls this."""
    talks = select(Conversation.user_id).where(Conversation.source_id == typed)
    # By its client, for an id is looked up together with it, and clients are few.
    clients = list(db.session.scalars(select(ServiceClient.id)))
    logs = select(MessageLog.user_id).where(MessageLog.client_id.in_(clients), MessageLog.source_id == typed)
    return [
        *_hits(actor, Clue.CONVERSATION, db.session.scalars(talks.limit(most)), typed),
        *_hits(actor, Clue.LOG, db.session.scalars(logs.limit(most)), typed),
    ]


def _start_of_key(typed: str) -> str | None:
    """The start of a key that was typed, alone or as it stands in a header or a line of code."""
    if typed.startswith(KEY_PREFIX) and LEAST_OF_KEY <= len(typed) <= SHOWN:
        return typed
    inside = SHOWN_KEY.search(typed)
    return inside[0] if inside else None


def _begins(typed: str) -> ColumnElement[bool]:
    """Keys whose shown start this is."""
    return ApiKey.prefix == typed if len(typed) >= SHOWN else begins_with(ApiKey.prefix, typed)


def _hits(actor: Actor, clue: Clue, ids: Iterable[UUID], thing: str = "") -> list[Hit]:
    return [_hit(actor, user, clue, thing) for user in users_among(ids)]


def _hit(actor: Actor, user: Account, clue: Clue, thing: str = "") -> Hit:
    shown = email_for(actor, user)
    return Hit(user.id, user.username, user.display_name, shown, user.state, user.last_seen_at, clue, thing)


def _each_once(hits: list[Hit]) -> list[Hit]:
    """Each user once, by the first clue that led to them."""
    return list({hit.id: hit for hit in reversed(hits)}.values())[::-1]
