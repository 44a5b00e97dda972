"""One-time links: made, looked at, and spent. A GET only looks; the POST spends."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from portal.accounts.models import Account, OneTimeLink
from portal.core import clock, crypto
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.ids import new_secret
from portal.core.text import gettext

if TYPE_CHECKING:
    from uuid import UUID


class Purpose(StrEnum):
    """What a link is for; it is good for nothing else."""

    SETUP = "setup"
    INVITATION = "invitation"
    CONFIRM = "confirm"
    RESET = "reset"
    NEW_EMAIL = "new_email"
    KEEP_EMAIL = "keep_email"
    NOT_ME = "not_me"


LIFETIMES = {
    Purpose.SETUP: timedelta(hours=24),
    Purpose.INVITATION: timedelta(days=7),
    Purpose.CONFIRM: timedelta(days=2),
    Purpose.RESET: timedelta(hours=1),
    Purpose.NEW_EMAIL: timedelta(days=1),
    Purpose.KEEP_EMAIL: timedelta(days=7),
    Purpose.NOT_ME: timedelta(days=7),
}
PATHS = {
    Purpose.SETUP: "/setup/",
    Purpose.INVITATION: "/invitation/",
    Purpose.CONFIRM: "/confirm/",
    Purpose.RESET: "/reset/",
    Purpose.NEW_EMAIL: "/new-email/",
    Purpose.KEEP_EMAIL: "/keep-email/",
    Purpose.NOT_ME: "/not-me/",
}
# By these an owner undoes what a thief did: no later change of the thief's, and no later mail, kills them.
LASTING = {Purpose.KEEP_EMAIL, Purpose.NOT_ME}
KEPT_AFTER = timedelta(days=1)
BATCH = 500


def make_link(purpose: Purpose, account: Account | None, facts: dict[str, Any] | None = None) -> str:
    """A new link's path. Earlier unused ones of the same purpose and account die, but for lasting ones."""
    account_id: UUID | None = account.id if account else None
    if purpose not in LASTING:
        db.session.execute(
            delete(OneTimeLink).where(
                OneTimeLink.purpose == purpose.value,
                OneTimeLink.account_id == account_id if account_id else OneTimeLink.account_id.is_(None),
            )
        )
    token = new_secret()
    db.session.add(
        OneTimeLink(
            digest=crypto.digest(token),
            purpose=purpose.value,
            account_id=account_id,
            epoch=account.epoch if account else 0,
            facts=facts or {},
            created_at=clock.now(),
            expires_at=clock.now() + LIFETIMES[purpose],
        )
    )
    return PATHS[purpose] + token


def _gone() -> NotFound:
    return NotFound(gettext("This link does not work any more. It was used, has run out, or a newer one was sent."))


def look_at_link(token: str, purpose: Purpose) -> OneTimeLink:
    """The link, unspent. Raises NotFound when it is used, over, for something else, or unknown."""
    link = db.session.scalars(
        select(OneTimeLink).where(OneTimeLink.digest == crypto.digest(token), OneTimeLink.purpose == purpose.value)
    ).first()
    if link is None or link.used_at is not None or link.expires_at <= clock.now():
        raise _gone()
    if link.account_id is not None:
        account = db.session.get(Account, link.account_id)
        if account is None or (purpose not in LASTING and account.epoch != link.epoch):
            raise _gone()
    return link


def spend_link(token: str, purpose: Purpose) -> OneTimeLink:
    """Use the link up: one guarded statement, so of many at once one succeeds. Raises NotFound."""
    link = look_at_link(token, purpose)
    spent = db.session.execute(
        update(OneTimeLink)
        .where(OneTimeLink.digest == link.digest, OneTimeLink.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(OneTimeLink.purpose)
        .execution_options(synchronize_session=False)
    ).scalar()
    if spent is None:
        raise _gone()
    return link


def drop_later_links(link: OneTimeLink) -> None:
    """End every other link of the account that was made after this one: it was mailed to whom this one overrules."""
    later = OneTimeLink.created_at >= link.created_at
    _write(
        delete(OneTimeLink).where(OneTimeLink.account_id == link.account_id, later, OneTimeLink.digest != link.digest)
    )


def latest_link(purpose: Purpose, account: Account) -> OneTimeLink | None:
    """The link of this purpose that the account could still use, if there is one."""
    query = select(OneTimeLink).where(
        OneTimeLink.account_id == account.id,
        OneTimeLink.purpose == purpose.value,
        OneTimeLink.epoch == account.epoch,
        OneTimeLink.used_at.is_(None),
        OneTimeLink.expires_at > clock.now(),
    )
    return db.session.scalars(query.order_by(OneTimeLink.created_at.desc()).limit(1)).first()


def drop_links(purpose: Purpose, account: Account) -> None:
    """End the links of this purpose."""
    _write(delete(OneTimeLink).where(OneTimeLink.account_id == account.id, OneTimeLink.purpose == purpose.value))


def forget_links(account_id: UUID) -> None:
    """End every link of an account; what they say of it goes with them."""
    _write(delete(OneTimeLink).where(OneTimeLink.account_id == account_id))


def tidy_links() -> int:
    """Delete a batch of links that ran out KEPT_AFTER ago. Answers how many were."""
    over = select(OneTimeLink.digest).where(OneTimeLink.expires_at <= clock.now() - KEPT_AFTER).limit(BATCH)
    gone = delete(OneTimeLink).where(OneTimeLink.digest.in_(over)).returning(OneTimeLink.purpose)
    return len(_write(gone).all())


def _write(statement: Any) -> Any:
    return db.session.execute(statement.execution_options(synchronize_session=False))
