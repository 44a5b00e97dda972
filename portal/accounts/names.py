"""Taking a name: canonical once, unique by the database, not one that a deleted user still holds."""

from __future__ import annotations

import unicodedata
from zoneinfo import available_timezones

from sqlalchemy import select

from portal.accounts.models import Account, ReservedName
from portal.core import crypto
from portal.core.database import db
from portal.core.errors import Invalid
from portal.core.text import BadName, canonical_email, canonical_username, clean_line, folded, gettext

_ZONES = frozenset(available_timezones())


def zones() -> list[str]:
    """Every time zone that may be chosen."""
    named = (zone for zone in _ZONES if "/" in zone and not zone.startswith(("Etc/", "posix/", "right/")))
    return [*sorted(named), "UTC"]


def reserved_digest(kind: str, canonical: str) -> str:
    """How a reserved name is kept."""
    return crypto.keyed_digest(f"reserved-{kind}", canonical)


def _is_reserved(kind: str, canonical: str) -> bool:
    digests = crypto.keyed_digests(f"reserved-{kind}", canonical)
    held = db.session.scalar(select(ReservedName.account_id).where(ReservedName.digest.in_(digests)).limit(1))
    return held is not None


def username_taken(canonical: str) -> bool:
    """Whether an account holds this name, or a deleted user still does."""
    held = db.session.scalar(select(Account.id).where(Account.username_canonical == canonical))
    return held is not None or _is_reserved("username", canonical)


def email_taken(canonical: str) -> bool:
    """Whether an account holds this address, or a deleted user still does."""
    held = db.session.scalar(select(Account.id).where(Account.email_canonical == canonical))
    return held is not None or _is_reserved("email", canonical)


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
