"""Taking a name: canonical once, unique by the database, not one that somebody else gave up a moment ago or that a
deleted user still holds."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from sqlalchemy import delete, or_, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from portal.accounts.models import Account, ReservedName
from portal.core import clock, crypto
from portal.core.database import db, dialect_name
from portal.core.errors import Invalid
from portal.core.text import BadName, canonical_email, canonical_username, clean_line, folded, gettext

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

BATCH = 500
_ZONES = frozenset(available_timezones())


def zones() -> list[str]:
    """Every time zone that may be chosen."""
    named = (zone for zone in _ZONES if "/" in zone and not zone.startswith(("Etc/", "posix/", "right/")))
    return [*sorted(named), "UTC"]


def reserved_digest(kind: str, canonical: str) -> str:
    """How a reserved name is kept."""
    return crypto.keyed_digest(f"reserved-{kind}", canonical)


def reserve(kind: str, canonical: str, account_id: UUID, *, until: datetime | None = None) -> None:
    """Keep a name of this account from everybody else: until an instant, or for good. Whoever reserves it is the one
    who held it, so a reservation of before is over and overwritten."""
    insert: Callable[..., Any] = postgres_insert if dialect_name() == "postgresql" else sqlite_insert
    held = {"account_id": account_id, "until": until}
    row = insert(ReservedName).values(digest=reserved_digest(kind, canonical), **held)
    db.session.execute(row.on_conflict_do_update(index_elements=["digest"], set_=held))


def release(kind: str, canonical: str) -> None:
    """Reserve a name no more: its holder took it back."""
    digests = crypto.keyed_digests(f"reserved-{kind}", canonical)
    _write(delete(ReservedName).where(ReservedName.digest.in_(digests)))


def forget_reservations() -> int:
    """Delete a batch of reservations that are over. Answers how many were."""
    over = select(ReservedName.digest).where(ReservedName.until <= clock.now()).limit(BATCH)
    return len(_write(delete(ReservedName).where(ReservedName.digest.in_(over)).returning(ReservedName.digest)).all())


def _write(statement: Any) -> Any:
    return db.session.execute(statement.execution_options(synchronize_session=False))


def _is_reserved(kind: str, canonical: str, but: UUID | None) -> bool:
    query = select(ReservedName.account_id).where(
        ReservedName.digest.in_(crypto.keyed_digests(f"reserved-{kind}", canonical)),
        or_(ReservedName.until.is_(None), ReservedName.until > clock.now()),
    )
    if but is not None:
        query = query.where(ReservedName.account_id != but)
    return db.session.scalar(query.limit(1)) is not None


def username_taken(canonical: str, *, but: UUID | None = None) -> bool:
    """Whether an account holds this name, or one that gave it up or was deleted still does. `but` is an account that
    may have it."""
    held = db.session.scalar(select(Account.id).where(Account.username_canonical == canonical))
    return held not in {None, but} or _is_reserved("username", canonical, but)


def email_taken(canonical: str, *, but: UUID | None = None) -> bool:
    """The same of an e-mail address."""
    held = db.session.scalar(select(Account.id).where(Account.email_canonical == canonical))
    return held not in {None, but} or _is_reserved("email", canonical, but)


def checked_username(typed: str) -> tuple[str, str]:
    """(as shown, canonical). Raises Invalid at `username`."""
    try:
        return unicodedata.normalize("NFKC", typed).strip(), canonical_username(typed)
    except BadName as error:
        raise Invalid({"username": str(error)}) from None


def checked_email(typed: str) -> tuple[str, str]:
    """(as shown, canonical). Raises Invalid at `email`."""
    try:
        return typed.strip(), canonical_email(typed)
    except BadName as error:
        raise Invalid({"email": str(error)}) from None


def checked_display_name(typed: str) -> str:
    """The display name, cleaned. Raises Invalid at `display_name`."""
    try:
        return clean_line(typed)
    except BadName as error:
        raise Invalid({"display_name": str(error)}) from None


def checked_zone(typed: str) -> str:
    """A known time zone; empty means UTC. Raises Invalid at `time_zone`."""
    if not typed:
        return "UTC"
    if typed not in _ZONES:
        raise Invalid({"time_zone": gettext("This is not a known time zone.")})
    return typed


def search_text_of(username_canonical: str, email_canonical: str | None, display_name: str) -> str:
    """What the search box looks into for an account."""
    return f"{username_canonical} {email_canonical or ''} {folded(display_name)}".strip()


def refresh_search_text(account: Account) -> None:
    """Keep the searched text true after a change of names."""
    account.search_text = search_text_of(account.username_canonical, account.email_canonical, account.display_name)
