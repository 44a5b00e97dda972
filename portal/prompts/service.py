"""Saved prompts: kept, listed, searched, changed, deleted; by their owner, or by a client with the scope.

They are the user's own notes: not sealed, and not behind the verb that opens conversations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select
from sqlalchemy.orm.exc import StaleDataError

from portal.accounts.models import Account, Kind, State
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from portal.core.ids import new_id
from portal.core.pages import PAGE_SIZE, page_of
from portal.core.text import BadName, Shown, clean_line, gettext
from portal.prompts.models import Prompt

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.core.pages import Page

MOST_TITLE = 120
MOST_BYTES = 64 * 1024
MOST_PROMPTS = 1_000
MOST_WORDS = 12


@dataclass(frozen=True, slots=True)
class PromptWords:
    """What a prompt says, as typed. `response` is None until there is one."""

    title: str
    content: str
    response: str | None = None


@needs(Capability.OWN_PROMPTS, Capability.PROMPT_READ)
def list_prompts(
    actor: Actor, user_id: UUID, *, search: str = "", cursor: str | None = None, size: int = PAGE_SIZE
) -> Page[Prompt]:
    """One page of a user's prompts, changed last first; narrowed to those that hold every word of the search.

    Raises Forbidden, NotFound, Malformed.
    """
    _reach(actor, user_id, Capability.PROMPT_READ)
    query = select(Prompt).where(Prompt.user_id == user_id)
    for word in search.split()[:MOST_WORDS]:
        places = (Prompt.title, Prompt.content, Prompt.response)
        query = query.where(or_(*(place.icontains(word, autoescape=True) for place in places)))
    return page_of(query, [Prompt.updated_at.desc(), Prompt.id.desc()], cursor, purpose=f"prompts-{user_id}", size=size)


@needs(Capability.OWN_PROMPTS, Capability.PROMPT_READ, Capability.PROMPT_WRITE)
def prompt_of(actor: Actor, user_id: UUID, prompt_id: UUID) -> Prompt:
    """One prompt of a user, to read it or to change it. Raises Forbidden, NotFound."""
    _reach(actor, user_id, Capability.PROMPT_READ, Capability.PROMPT_WRITE)
    return _found(user_id, prompt_id)


@needs(Capability.OWN_PROMPTS, Capability.PROMPT_WRITE)
def create_prompt(actor: Actor, user_id: UUID, said: PromptWords) -> Prompt:
    """Keep a prompt for a user. Raises Forbidden, NotFound, Invalid at title, content, response; Conflict when full."""
    user = _reach(actor, user_id, Capability.PROMPT_WRITE)
    kept = _checked(said)
    if (db.session.scalar(select(func.count()).where(Prompt.user_id == user_id)) or 0) >= MOST_PROMPTS:
        raise Conflict(gettext("At most %(most)s prompts are kept. Delete one first.", most=MOST_PROMPTS))
    now = clock.now()
    prompt = Prompt(
        id=new_id(),
        user_id=user_id,
        title=kept.title,
        content=kept.content,
        response=kept.response,
        created_at=now,
        updated_at=now,
    )
    db.session.add(prompt)
    record(actor, events.PROMPT_CREATED, _target(user))
    db.session.flush()
    return prompt


@needs(Capability.OWN_PROMPTS, Capability.PROMPT_WRITE)
def change_prompt(
    actor: Actor, user_id: UUID, prompt_id: UUID, said: PromptWords, *, version: int | None = None
) -> Prompt:
    """Change what a prompt says; what stays the same leaves no entry.

    With a `version` it must still be that one. Raises Forbidden, NotFound, Invalid, Stale.
    """
    user = _reach(actor, user_id, Capability.PROMPT_WRITE)
    prompt = _found(user_id, prompt_id)
    _check_version(prompt, version)
    kept = _checked(said)
    changed = [name for name in ("title", "content", "response") if getattr(prompt, name) != getattr(kept, name)]
    if changed:
        prompt.title, prompt.content, prompt.response = kept.title, kept.content, kept.response
        prompt.updated_at = clock.now()
        record(actor, events.PROMPT_CHANGED, _target(user), {"changed": changed})
        _write_now()
    return prompt


@needs(Capability.OWN_PROMPTS, Capability.PROMPT_WRITE)
def delete_prompt(actor: Actor, user_id: UUID, prompt_id: UUID, *, version: int | None = None) -> None:
    """Delete a prompt for good. Raises Forbidden, NotFound, Stale."""
    user = _reach(actor, user_id, Capability.PROMPT_WRITE)
    prompt = _found(user_id, prompt_id)
    _check_version(prompt, version)
    db.session.delete(prompt)
    record(actor, events.PROMPT_DELETED, _target(user))
    _write_now()


def _reach(actor: Actor, user_id: UUID, *any_of: Capability) -> Account:
    """The user, whose prompts are the actor's own or open to the actor. Raises Forbidden, NotFound."""
    own = actor.id == user_id and actor.may(Capability.OWN_PROMPTS)
    if not own and actor.capabilities.isdisjoint(any_of):
        raise Forbidden
    user = db.session.get(Account, user_id)
    if user is None or user.kind != Kind.USER.value or user.state == State.DELETED.value:
        raise NotFound
    return user


def _target(user: Account) -> Target:
    return Target("user", user.id, user.username)


def _found(user_id: UUID, prompt_id: UUID) -> Prompt:
    prompt = db.session.get(Prompt, prompt_id)
    if prompt is None or prompt.user_id != user_id:
        raise NotFound
    return prompt


def _check_version(prompt: Prompt, version: int | None) -> None:
    if version is not None and prompt.version != version:
        raise Stale


def _write_now() -> None:
    """Write the change. Raises Stale when somebody else was between our looking and our writing."""
    try:
        db.session.flush()
    except StaleDataError:
        raise Stale from None


def _checked(said: PromptWords) -> PromptWords:
    """The words in the form in which they are kept. Raises Invalid with what is wrong at each field."""
    wrong: dict[str, Shown] = {}
    title = said.title
    try:
        title = clean_line(said.title, most=MOST_TITLE)
        if not title:
            wrong["title"] = gettext("Give the prompt a title, so that you find it again.")
    except BadName as error:
        wrong["title"] = str(error)
    content, response = _plain(said.content), _plain(said.response or "")
    if not content.strip():
        wrong["content"] = gettext("Write down the prompt.")
    for name, text in (("content", content), ("response", response)):
        if not _can_be_kept(text):
            wrong[name] = gettext("At most 64 KiB of text, without NUL.")
    if wrong:
        raise Invalid(wrong)
    return PromptWords(title, content, response or None)


def _plain(text: str) -> str:
    """The text with the line ends of programs; forms send those of typewriters."""
    return text.replace("\r\n", "\n")


def _can_be_kept(text: str) -> bool:
    try:
        return len(text.encode()) <= MOST_BYTES and "\0" not in text
    except UnicodeEncodeError:  # half of a character
        return False
