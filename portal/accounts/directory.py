"""Finding accounts: the lists of users, staff and admins, with search, filters and sort, at any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Select, false, literal_column, select, text
from sqlalchemy.orm import selectin_polymorphic

from portal.accounts.models import Account, Admin, Kind, ReservedName, StaffMember, State, User
from portal.core.access import Capability, needs
from portal.core.database import begins_with, db, dialect_name
from portal.core.errors import NotFound
from portal.core.ids import parse_id
from portal.core.pages import PAGE_SIZE, Page, page_of
from portal.core.text import BadName, canonical_email, folded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portal.core.actor import Actor

SORTS: dict[str, list[Any]] = {
    "-created": [Account.created_at.desc(), Account.id.desc()],
    "created": [Account.created_at.asc(), Account.id.asc()],
    "username": [Account.username_canonical.asc(), Account.id.asc()],
    "-username": [Account.username_canonical.desc(), Account.id.desc()],
    "-seen": [Account.last_seen_at.desc(), Account.id.desc()],
}
MOST_COUNTED = 10_000
MOST_HITS = 2_000
MOST_LOOKED_AT = 500
LEAST_OF_PART = 3


@dataclass(frozen=True, slots=True)
class UserFilter:
    """What a list of users is narrowed to."""

    search: str = ""
    state: str = ""
    plan_id: UUID | None = None
    sort: str = "-created"


def matching(search: str) -> Any:
    """The condition that an account's names contain `search`, by the trigram index of the database at hand.

    An exact id or e-mail goes to its own index. Under three characters the prefix of the username decides.
    """
    wanted = folded(search.strip())
    if (whole := parse_id(wanted)) is not None:
        return Account.id == whole
    if "@" in wanted:
        try:
            exact = db.session.scalar(select(Account.id).where(Account.email_canonical == canonical_email(wanted)))
        except BadName:
            exact = None
        if exact is not None:
            return Account.id == exact
    if len(wanted) < LEAST_OF_PART:
        return begins_with(Account.username_canonical, wanted)
    if dialect_name() == "postgresql":
        return Account.search_text.contains(wanted, autoescape=True)
    phrase = '"' + wanted.replace('"', '""') + '"'
    # The hits are bounded before anything is sorted: a common part of a name must not sort a million rows.
    return text(
        "accounts.rowid IN (SELECT rowid FROM account_search WHERE account_search MATCH :phrase LIMIT :most)"
    ).bindparams(phrase=phrase, most=MOST_HITS)


def _whole_names(wanted: str) -> Any:
    """The condition for those who see e-mails masked: a part of a masked field must find nothing."""
    if "@" in wanted:
        try:
            return Account.email_canonical == canonical_email(wanted)
        except BadName:
            return false()
    if (whole := parse_id(wanted)) is not None:
        return Account.id == whole
    return begins_with(Account.username_canonical, folded(wanted))


def _first_of(condition: Any) -> Any:
    """The condition to be among the first by name who meet this one: one letter must not sort a million rows either."""
    named = select(Account.id).where(Account.kind == Kind.USER.value, condition).correlate(None)
    return Account.id.in_(named.order_by(Account.username_canonical).limit(MOST_HITS))


def _narrowed(actor: Actor, wanted: UserFilter) -> Select[Account]:
    search, whole = wanted.search.strip(), actor.may(Capability.USER_CONTACT)
    # What is searched for is few: with the plus SQLite begins with that, and not with the index of all users.
    few = bool(search) and dialect_name() == "sqlite"
    query = select(Account).where((literal_column("+accounts.kind") if few else Account.kind) == Kind.USER.value)
    if wanted.state in set(State) - {State.DELETED}:
        query = query.where(Account.state == wanted.state)
    else:
        query = query.where(Account.state != State.DELETED.value)
    if wanted.plan_id:
        query = query.where(Account.plan_id == wanted.plan_id)
    if search:
        condition = matching(search) if whole else _whole_names(search)
        bounded = whole and len(folded(search)) >= LEAST_OF_PART
        query = query.where(_first_of(condition) if few and not bounded else condition)
    return query


@needs(Capability.USER_READ)
def list_users(actor: Actor, wanted: UserFilter, cursor: str | None = None, *, size: int = PAGE_SIZE) -> Page[Account]:
    """One page of users in the wanted order. Raises Malformed."""
    order = SORTS.get(wanted.sort, SORTS["-created"])
    query = _narrowed(actor, wanted).options(selectin_polymorphic(Account, [User]))
    return page_of(query, order, cursor, purpose=f"users-{wanted.sort}", size=size)


@needs(Capability.USER_READ)
def count_users(actor: Actor, wanted: UserFilter) -> int:
    """How many users there are, counted no further than MOST_COUNTED + 1."""
    limited = _narrowed(actor, wanted).with_only_columns(Account.id).limit(MOST_COUNTED + 1).subquery()
    return db.session.scalar(select(text("count(*)")).select_from(limited)) or 0


@needs(Capability.USER_FIND)
def find_users(actor: Actor, search: str, *, most: int = 20) -> list[Account]:
    """Users that match the desk's search box: whose username begins so, then those who have it elsewhere in a name.

    Who sees e-mails masked finds by the whole address only, and by parts of names otherwise: a part of a
    masked field must find nothing.
    """
    wanted = search.strip()
    if not wanted or "\0" in wanted:  # PostgreSQL takes no NUL, and no name holds one
        return []
    living = select(Account).where(Account.kind == Kind.USER.value, Account.state != State.DELETED.value)
    begins = living.where(_whole_names(wanted)).order_by(Account.username_canonical).limit(most)
    hits = list(db.session.scalars(begins))
    if len(hits) < most and "@" not in wanted and parse_id(wanted) is None and len(folded(wanted)) >= LEAST_OF_PART:
        hits += users_among(_with_part(folded(wanted), most, sees_all=actor.may(Capability.USER_CONTACT)))
    return list(dict.fromkeys(hits))[:most]


def users_among(ids: Iterable[UUID]) -> list[Account]:
    """Those of these accounts who are users and not deleted, by name.

    Kind and state are looked at here: named in the query, they would lead SQLite through the index of all users.
    """
    wanted = list(ids)
    found = db.session.scalars(select(Account).where(Account.id.in_(wanted))) if wanted else ()
    users = [one for one in found if one.kind == Kind.USER and one.state != State.DELETED]
    return sorted(users, key=lambda user: user.username_canonical)


def _with_part(wanted: str, most: int, *, sees_all: bool) -> list[UUID]:
    """The first accounts with this part in a name, by name; who sees all is told of e-mail addresses too.

    The index holds names and addresses together, so for the others whoever matches by the address is left out here.
    It looks at so many only: a part of nearly every address hides who has it in the name as well.
    """
    columns = select(Account.id, Account.kind, Account.state, Account.username_canonical, Account.display_name)
    found = db.session.execute(columns.where(matching(wanted)).limit(MOST_LOOKED_AT)).all()
    living = [one for one in found if one.kind == Kind.USER and one.state != State.DELETED]
    named = [
        one for one in living if sees_all or wanted in one.username_canonical or wanted in folded(one.display_name)
    ]
    return [one.id for one in sorted(named, key=lambda one: one.username_canonical)[:most]]


@needs(Capability.USER_FIND, Capability.USER_WRITE)
def user_record(actor: Actor, user_id: UUID) -> User:
    """One user. Raises NotFound, also for staff, admins and deleted users."""
    user = db.session.get(User, user_id)
    if user is None or user.state == State.DELETED:
        raise NotFound
    return user


@needs(Capability.USER_FIND)
def user_to_help(actor: Actor, user_id: UUID) -> User:
    """The user whom a case may be about: one that is there, and for whoever restores users a deleted one whose names
    are kept for them still. Raises NotFound.
    """
    user = db.session.get(User, user_id)
    if user is not None and user.state == State.DELETED and actor.may(Capability.USER_RESTORE):
        kept = select(ReservedName.account_id).where(ReservedName.account_id == user_id).limit(1)
        if db.session.scalar(kept) is not None:
            return user
    return user_record(actor, user_id)


@needs(Capability.STAFF_MANAGE)
def list_staff(actor: Actor) -> list[StaffMember]:
    """All staff members, by name."""
    query = select(StaffMember).where(StaffMember.state != State.DELETED.value)
    return list(db.session.scalars(query.order_by(StaffMember.username_canonical).limit(500)))


@needs(Capability.ADMIN_MANAGE)
def list_admins(actor: Actor) -> list[Admin]:
    """All admins, by name."""
    query = select(Admin).where(Admin.state != State.DELETED.value)
    return list(db.session.scalars(query.order_by(Admin.username_canonical).limit(500)))


@needs(Capability.OWN_PROFILE)
def own_account(actor: Actor) -> Account:
    """The actor's own account."""
    account = db.session.get(Account, actor.id)
    if account is None:
        raise NotFound
    return account


def account_named(typed: str) -> Account | None:
    """The account with this username or e-mail, of any kind and state but deleted."""
    wanted = folded(typed.strip())
    if "\0" in wanted:  # PostgreSQL takes no NUL, and no name holds one
        return None
    condition: Any = Account.username_canonical == wanted
    if "@" in wanted:
        try:
            condition = Account.email_canonical == canonical_email(typed)
        except BadName:
            return None
    return db.session.scalars(select(Account).where(condition, Account.state != State.DELETED.value)).first()


@needs(Capability.STAFF_MANAGE)
def staff_record(actor: Actor, staff_id: UUID) -> StaffMember:
    """One staff member. Raises NotFound."""
    member = db.session.get(StaffMember, staff_id)
    if member is None or member.state == State.DELETED:
        raise NotFound
    return member


@needs(Capability.ADMIN_MANAGE)
def admin_record(actor: Actor, admin_id: UUID) -> Admin:
    """One admin. Raises NotFound."""
    admin = db.session.get(Admin, admin_id)
    if admin is None or admin.state == State.DELETED:
        raise NotFound
    return admin
