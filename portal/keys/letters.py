"""Mails about keys, to their owner: written with the change, whoever made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from babel.dates import format_datetime

from portal.accounts.days import zone
from portal.accounts.models import Account
from portal.core.database import db
from portal.mail.outbox import write_mail
from portal.mail.rendering import site_link

if TYPE_CHECKING:
    from datetime import datetime

    from portal.core.actor import Actor
    from portal.keys.models import ApiKey


def mail_change(key: ApiKey, act: str, by: Actor) -> None:
    """Tell the owner that a key was `made`, `changed`, `rotated` or `revoked`, and by whom when by somebody else.

    Somebody who got into an account makes a key first: the mail is how its owner hears of it (S014).
    """
    owner = db.session.get(Account, key.user_id)
    if owner is not None and owner.email:
        values = _values(owner, key) | {"act": act, "by": None if by.id == owner.id else by.name}
        write_mail(owner.email, "key_notice", values, language=owner.language, account_id=owner.id)


def mail_leak(key: ApiKey) -> None:
    """Tell the owner that somebody found the key and handed it in."""
    owner = db.session.get(Account, key.user_id)
    if owner is not None and owner.email:
        write_mail(owner.email, "key_leaked", _values(owner, key), language=owner.language, account_id=owner.id)


def mail_expiry(key: ApiKey) -> None:
    """Tell the owner when the key ends."""
    owner = db.session.get(Account, key.user_id)
    if owner is not None and owner.email and key.expires_at is not None:
        values = _values(owner, key) | {"when": local_time(key.expires_at, owner.time_zone)}
        write_mail(owner.email, "key_expiring", values, language=owner.language, account_id=owner.id)


def _values(owner: Account, key: ApiKey) -> dict[str, Any]:
    return {
        "name": owner.shown_name,
        "key": key.name,
        "prefix": key.prefix,
        "link": site_link(f"/account/keys/{key.id}"),
    }


def local_time(instant: datetime, time_zone: str) -> str:
    """An instant in words, in this zone."""
    return format_datetime(instant.astimezone(zone(time_zone)), "d MMM y, HH:mm zzz", locale="en")
