"""Browsers that an account is known to use, told by a secret in a cookie of their own that outlives sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import aliased

from portal.accounts.links import Purpose, make_link
from portal.core import clock, crypto
from portal.core.database import db, dialect_name
from portal.core.ids import new_secret
from portal.mail.outbox import write_mail
from portal.mail.rendering import site_link
from portal.signin.models import KnownDevice, SignInSession

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any
    from uuid import UUID

    from portal.accounts.models import Account

KEPT_FOR = timedelta(days=400)
MOST_KEPT = 50
BATCH = 500


@dataclass(frozen=True, slots=True)
class Browser:
    """The browser somebody comes with: what it calls itself, and the secret it kept from an earlier sign-in."""

    device: str = ""
    secret: str | None = None


UNKNOWN = Browser()


def is_known(account_id: UUID, browser: Browser) -> bool:
    """Whether somebody signed in to this account in this browser before."""
    if not browser.secret:
        return False
    known = select(KnownDevice.digest).where(
        KnownDevice.digest == crypto.digest(browser.secret),
        KnownDevice.account_id == account_id,
        KnownDevice.last_seen_at > clock.now() - KEPT_FOR,
    )
    return db.session.scalar(known) is not None


def note_device(account: Account, browser: Browser, address: str | None) -> str:
    """Know this browser from now on; answers the secret it is to keep.

    The owner of an account that was signed in to before is told by mail, with a link that says "this was not me".
    """
    now = clock.now()
    if is_known(account.id, browser):
        db.session.execute(
            update(KnownDevice)
            .where(KnownDevice.digest == crypto.digest(browser.secret or ""), KnownDevice.account_id == account.id)
            .values(last_seen_at=now)
            .execution_options(synchronize_session=False)
        )
        return browser.secret or ""
    first = _is_first(account.id)
    secret = new_secret()
    _change_secret(browser.secret, secret)
    insert: Callable[..., Any] = postgres_insert if dialect_name() == "postgresql" else sqlite_insert
    row = insert(KnownDevice).values(
        digest=crypto.digest(secret), account_id=account.id, created_at=now, last_seen_at=now
    )
    db.session.execute(row.on_conflict_do_update(index_elements=["digest", "account_id"], set_={"last_seen_at": now}))
    _forget_oldest(account.id)
    if not first:
        tell_owner(account, browser, address)
    return secret


def forget_devices(account_id: UUID) -> None:
    """Know no browser of this account any more."""
    _write(delete(KnownDevice).where(KnownDevice.account_id == account_id))


def tidy_devices() -> int:
    """Delete a batch of browsers that were not seen for KEPT_FOR. Answers how many were.

    Of each account the latest one stays, so that the next sign-in is not taken for the first there ever was.
    """
    later = aliased(KnownDevice)
    unseen = KnownDevice.last_seen_at <= clock.now() - KEPT_FOR
    newer = select(later.digest).where(
        later.account_id == KnownDevice.account_id, later.last_seen_at > KnownDevice.last_seen_at
    )
    old = select(KnownDevice.digest).where(unseen, newer.exists()).limit(BATCH)
    gone = delete(KnownDevice).where(KnownDevice.digest.in_(old), unseen, newer.exists()).returning(KnownDevice.digest)
    return len(db.session.execute(gone.execution_options(synchronize_session=False)).all())


def _forget_oldest(account_id: UUID) -> None:
    latest = (
        select(KnownDevice.digest)
        .where(KnownDevice.account_id == account_id)
        .order_by(KnownDevice.last_seen_at.desc(), KnownDevice.digest)
        .limit(MOST_KEPT)
    )
    _write(delete(KnownDevice).where(KnownDevice.account_id == account_id, KnownDevice.digest.notin_(latest)))


def _is_first(account_id: UUID) -> bool:
    """Whether nobody signed in to the account before the session that has just begun, as far as is known still."""
    known = select(KnownDevice.digest).where(KnownDevice.account_id == account_id).limit(1)
    sessions = select(SignInSession.id).where(SignInSession.account_id == account_id).limit(2)
    return db.session.scalar(known) is None and len(db.session.scalars(sessions).all()) < 2


def _change_secret(before: str | None, after: str) -> None:
    """Let the accounts that know a browser know it by another secret: who used it before the next person may have a
    copy, which must not make them known to that one."""
    if before:
        same = update(KnownDevice).where(KnownDevice.digest == crypto.digest(before))
        _write(same.values(digest=crypto.digest(after)))


def tell_owner(account: Account, browser: Browser, address: str | None) -> None:
    """Mail the owner that somebody signed in from where nobody did before, with the link that says "not me"."""
    seen = {"device": browser.device[:200], "address": address or ""}
    # A thief may change the address next: what undoes that goes by the one that is told now, if it is the owner's.
    facts: dict[str, Any] = dict(seen)
    if account.email_verified_at is not None:
        facts |= {"email": account.email, "canonical": account.email_canonical}
    values = {
        **seen,
        "name": account.shown_name,
        "at": f"{clock.now():%Y-%m-%d %H:%M} UTC",
        "link": site_link(make_link(Purpose.NOT_ME, account, facts)),
    }
    write_mail(account.email or "", "new_device", values, language=account.language, account_id=account.id)


def _write(statement: Any) -> None:
    db.session.execute(statement.execution_options(synchronize_session=False))
