"""Notes that staff and admins write on a user's record for each other: writing, pinning, removing, naming somebody."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from portal.accounts.directory import user_record
from portal.accounts.lifecycle import target_of
from portal.accounts.models import Account, Kind, StaffMember, State, User
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.database import db
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.core.pages import Page, page_of
from portal.core.text import gettext
from portal.mail.outbox import write_mail
from portal.mail.rendering import site_link
from portal.support.cases import find_held_case, in_case
from portal.support.models import Mention, Note

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Select

    from portal.core.actor import Actor

MOST_WORDS, MOST_PINNED, MOST_NAMED = 2000, 3, 10
# So long may whoever wrote a note take it back; later what was written stays, and another note puts it right.
OWN_FOR = timedelta(minutes=15)
# On the record itself; the page of the notes has all.
LATEST = 5
PAGE = 20
# A name after an @ that does not belong to an e-mail address. Names may end in a dot, and so may sentences: the reader
# of a match tries both.
_NAMED = re.compile(r"(?<![\w.@-])@([A-Za-z0-9][A-Za-z0-9._-]{2,39})", re.ASCII)


@dataclass(frozen=True, slots=True)
class NoteSeen:
    """A note as this actor sees it. `names_me` is whether it names them and they had not seen it."""

    id: UUID
    user_id: UUID
    author: str
    own: bool
    at: datetime
    words: str
    pinned: bool
    case: str | None
    may_remove: bool
    names_me: bool


@dataclass(frozen=True, slots=True)
class NoteList:
    """The pinned notes of a user (none but on the first page), and one page of the others, newest first."""

    pinned: list[NoteSeen]
    page: Page[NoteSeen]


@dataclass(frozen=True, slots=True)
class MentionSeen:
    """A note that names the actor, and on whose record it is."""

    note: NoteSeen
    username: str
    display_name: str


@dataclass(frozen=True, slots=True)
class Mentionable:
    """Somebody who reads notes and can be named in one. `level` is None for admins."""

    id: UUID
    username: str
    name: str
    level: int | None


@needs(Capability.NOTE_WRITE)
def notes_of(actor: Actor, user_id: UUID, cursor: str | None = None, *, size: int = PAGE) -> NoteList:
    """The notes on a user's record. Those that name the actor count as seen from now. Raises NotFound, Malformed."""
    user_record(actor, user_id)
    theirs = select(Note).where(Note.user_id == user_id)
    order: list[Any] = [Note.at.desc(), Note.id.desc()]
    page = page_of(theirs.where(~Note.pinned), order, cursor, purpose=f"notes-{user_id}", size=size)
    pinned = [] if cursor else list(db.session.scalars(theirs.where(Note.pinned).order_by(*order)))
    seen = {note.id: note for note in _seen(actor, [*pinned, *page.items])}
    shown = Page([seen[note.id] for note in page.items], page.next_cursor, page.previous_cursor)
    return NoteList([seen[note.id] for note in pinned], shown)


@needs(Capability.NOTE_WRITE)
def mentions_of(actor: Actor, cursor: str | None = None) -> Page[MentionSeen]:
    """A page of the notes that name the actor, newest first; they count as seen from now."""
    page = page_of(_mentions(actor), [Note.at.desc(), Note.id.desc()], cursor, purpose="mentions")
    about = {note.user_id for note in page.items}
    users = {user.id: user for user in db.session.scalars(select(Account).where(Account.id.in_(about)))}
    told = [
        MentionSeen(note, users[note.user_id].username, users[note.user_id].display_name)
        for note in _seen(actor, page.items)
    ]
    return Page(told, page.next_cursor, page.previous_cursor)


@needs(Capability.NOTE_WRITE)
def unseen_mentions(actor: Actor) -> int:
    """How many notes name the actor that they have not seen, counted no further than 100."""
    few = _mentions(actor).where(Mention.seen_at.is_(None)).with_only_columns(Note.id).limit(100).subquery()
    return db.session.scalar(select(func.count()).select_from(few)) or 0


def _mentions(actor: Actor) -> Select[Note]:
    """Notes that name the actor, on records that are there."""
    return (
        select(Note)
        .join(Mention, Mention.note_id == Note.id)
        .join(Account, Account.id == Note.user_id)
        .where(Mention.account_id == actor.id, Account.state != State.DELETED.value)
    )


@needs(Capability.NOTE_WRITE)
def list_mentionable(actor: Actor) -> list[Mentionable]:
    """Everybody who can be named in a note, by username: staff, and admins who read notes."""
    people = db.session.scalars(_readers().order_by(Account.username_canonical).limit(500))
    return [
        Mentionable(
            one.id, one.username, one.shown_name.split(" ")[0], one.level if isinstance(one, StaffMember) else None
        )
        for one in people
        if Capability.NOTE_WRITE in one.capabilities
    ]


@needs(Capability.NOTE_WRITE)
def add_note(actor: Actor, user_id: UUID, words: str, *, pinned: bool = False) -> list[Mentionable]:
    """Write a note on a user's record. Answers who is named in it: they get a mail without the words, and a mark.

    One that is written while a case about the user is held carries its number. Raises Invalid, NotFound.
    """
    user = user_record(actor, user_id)
    said = _checked(words)
    if actor.id is None:
        raise NotFound  # nobody who could have written it
    who = in_case(actor, user_id) if find_held_case(actor, user_id) else actor
    named = _named_in(actor, said)
    if pinned:
        _check_room(user_id)
    note = Note(
        id=new_id(), user_id=user_id, author_id=actor.id, at=clock.now(), words=said, pinned=pinned, case=who.case
    )
    db.session.add(note)
    db.session.flush()  # a mention points at it
    for account in named:
        db.session.add(Mention(note_id=note.id, account_id=account.id))
        _tell(account, actor, user_id)
    record(who, events.NOTE_ADDED, target_of(user), {"pinned": pinned})
    return [Mentionable(one.id, one.username, one.shown_name.split(" ")[0], None) for one in named]


@needs(Capability.NOTE_WRITE)
def pin_note(actor: Actor, user_id: UUID, note_id: UUID, *, pinned: bool) -> None:
    """Keep a note on top, or let it go down again. Raises Conflict where enough are pinned, NotFound."""
    user = user_record(actor, user_id)
    note = _found(user_id, note_id)
    if note.pinned == pinned:
        return
    if pinned:
        _check_room(user_id)
    note.pinned = pinned
    record(actor, events.NOTE_CHANGED, target_of(user), {"pinned": pinned})


@needs(Capability.NOTE_WRITE)
def remove_note(actor: Actor, user_id: UUID, note_id: UUID) -> None:
    """Take a note away: one's own within 15 minutes, any for who manages users. Raises Forbidden, NotFound."""
    user = user_record(actor, user_id)
    note = _found(user_id, note_id)
    if not _may_remove(actor, note):
        raise Forbidden(gettext("A note can be removed by whoever wrote it, within 15 minutes."))
    db.session.execute(delete(Mention).where(Mention.note_id == note_id))
    db.session.delete(note)
    record(actor, events.NOTE_REMOVED, target_of(user))


def _found(user_id: UUID, note_id: UUID) -> Note:
    note = db.session.get(Note, note_id)
    if note is None or note.user_id != user_id:
        raise NotFound
    return note


def _may_remove(actor: Actor, note: Note) -> bool:
    return actor.may(Capability.USER_WRITE) or (note.author_id == actor.id and clock.now() - note.at <= OWN_FOR)


def _checked(typed: str) -> str:
    said = unicodedata.normalize("NFC", typed.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not said:
        raise Invalid({"words": gettext("Write something.")})
    if len(said) > MOST_WORDS:
        raise Invalid({"words": gettext("At most %(most)s characters.", most=MOST_WORDS)})
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in said):
        raise Invalid({"words": gettext("This holds a character that cannot be shown.")})
    return said


def _check_room(user_id: UUID) -> None:
    """Raises Conflict when as many notes are pinned as may be.

    The user's row is written as it is first, so that two who pin at the same moment take turns.
    """
    db.session.execute(
        update(User)
        .where(User.account_id == user_id)
        .values(warn_by_mail=User.warn_by_mail)
        .execution_options(synchronize_session=False)
    )
    pinned = select(func.count()).select_from(Note).where(Note.user_id == user_id, Note.pinned)
    if (db.session.scalar(pinned) or 0) >= MOST_PINNED:
        raise Conflict(
            gettext("%(most)s notes are pinned on this record already; unpin one of them first.", most=MOST_PINNED)
        )


def _readers() -> Select[Account]:
    return select(Account).where(
        Account.kind.in_((Kind.STAFF.value, Kind.ADMIN.value)), Account.state == State.ACTIVE.value
    )


def _named_in(actor: Actor, said: str) -> list[Account]:
    """Who of the house is named in these words, but the actor. Whoever does not read notes is not."""
    typed = {name.lower() for name in _NAMED.findall(said)}
    wanted = typed | {name.rstrip("._-") for name in typed}
    if not wanted:
        return []
    found = db.session.scalars(
        _readers().where(Account.username_canonical.in_(sorted(wanted)), Account.id != actor.id)
    ).all()
    # "@theo." names Theo, unless there is somebody of just that name.
    exact = {one.username_canonical for one in found}
    meant = {name if name in exact else name.rstrip("._-") for name in typed}
    named = [one for one in found if one.username_canonical in meant and Capability.NOTE_WRITE in one.capabilities]
    if len(named) > MOST_NAMED:
        raise Invalid({"words": gettext("At most %(most)s people in one note.", most=MOST_NAMED)})
    return sorted(named, key=lambda one: one.username_canonical)


def _tell(account: Account, by: Actor, user_id: UUID) -> None:
    """Mail somebody that a note names them; what it says stands on the record alone."""
    if not account.email:
        return
    path = f"/admin/notes/{user_id}" if account.kind == Kind.ADMIN else f"/staff/notes/{user_id}"
    values = {"name": account.shown_name, "by": by.name, "link": site_link(path)}
    write_mail(account.email, "mention", values, language=account.language, account_id=account.id)


def _seen(actor: Actor, notes: list[Note]) -> list[NoteSeen]:
    """These notes for showing; where they name the actor they are seen from now."""
    if not notes:
        return []
    authors = db.session.scalars(select(Account).where(Account.id.in_({note.author_id for note in notes})))
    names = {author.id: author.username for author in authors}
    ids = [note.id for note in notes]
    waiting = (Mention.note_id.in_(ids)) & (Mention.account_id == actor.id) & Mention.seen_at.is_(None)
    fresh = set(db.session.scalars(select(Mention.note_id).where(waiting)))
    if fresh:
        seen = update(Mention).where(waiting).values(seen_at=clock.now())
        db.session.execute(seen.execution_options(synchronize_session=False))
    return [
        NoteSeen(
            id=note.id,
            user_id=note.user_id,
            author=names.get(note.author_id) or gettext("somebody who is no longer here"),
            own=note.author_id == actor.id,
            at=note.at,
            words=note.words,
            pinned=note.pinned,
            case=note.case,
            may_remove=_may_remove(actor, note),
            names_me=note.id in fresh,
        )
        for note in notes
    ]
