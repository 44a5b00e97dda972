"""Delete, restore, list: the live row keeps its id and nothing personal, so ledger and logs keep their meaning."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from portal.accounts import names
from portal.accounts.lifecycle import raise_epoch, target_of
from portal.accounts.links import forget_links
from portal.accounts.models import Account, State, User
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock, crypto, settings
from portal.core.access import Capability, needs, outranks, recently
from portal.core.database import db
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.pages import Page, page_of
from portal.core.text import folded, gettext
from portal.keys.service import revoke_all_keys
from portal.privacy.models import DeletedUser
from portal.support.cases import close_cases_of

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor

PERSONAL = (
    "username",
    "username_canonical",
    "email",
    "email_canonical",
    "display_name",
    "password_hash",
    "state",
)


def _place(user_id: UUID) -> str:
    return f"deleted_users:{user_id}"


def purge_date() -> datetime:
    """Until when a user who is deleted now can be restored."""
    return clock.now() + timedelta(days=settings.current().deleted_retention_days)


@needs(Capability.USER_DELETE)
@recently(factor=True)
def delete_user(actor: Actor, user_id: UUID, *, typed_name: str) -> DeletedUser:
    """Seal the personal data, end sessions, revoke keys for good, keep the names reserved. Wants a reason
    and the username typed once more.

    Raises NotFound, Forbidden, Invalid.
    """
    user = db.session.get(User, user_id)
    if user is None or user.state == State.DELETED:
        raise NotFound
    if not outranks(actor, user.rank):
        raise Forbidden
    if not actor.reason:
        raise Invalid({"reason": gettext("Say why.")})
    if folded(typed_name.strip()) != user.username_canonical:
        raise Invalid({"username": gettext("This is not the username of the record.")})
    verified = user.email_verified_at
    kept = {name: getattr(user, name) for name in PERSONAL}
    kept["email_verified_at"] = verified.isoformat() if verified else None
    if user.state == State.CLOSING:
        kept["state"] = State.ACTIVE.value  # who is restored after leaving stays, instead of leaving once more
    user.closes_at = None
    deleted = DeletedUser(
        user_id=user.id,
        deleted_at=clock.now(),
        deleted_by=actor.name[:80],
        reason=actor.reason,
        purge_after=purge_date(),
        sealed=crypto.seal(kept, place=_place(user.id)),
    )
    db.session.add(deleted)
    names.reserve("username", user.username_canonical, user.id)
    if user.email_canonical:
        names.reserve("email", user.email_canonical, user.id)
    forget_links(user.id)
    revoke_all_keys(actor, user.id)
    close_cases_of(actor, user.id)
    raise_epoch(user)
    user.state = State.DELETED.value
    # A colon stands in no username, so nobody can hold this name beforehand and make the user undeletable.
    user.username = user.username_canonical = f"deleted:{user.id.hex}"
    user.email = user.email_canonical = user.email_verified_at = user.password_hash = None
    user.display_name = ""
    user.search_text = ""
    record(
        actor,
        events.ACCOUNT_DELETED,
        Target("user", user.id, None),
        {"purge_after": deleted.purge_after.isoformat()},
    )
    return deleted


@needs(Capability.USER_DELETE)
@recently(factor=True)
def restore_user(actor: Actor, user_id: UUID) -> User:
    """Put the personal data back. Sessions, tokens and keys of before stay dead. Raises NotFound, Forbidden,
    Conflict."""
    user = db.session.get(User, user_id)
    deleted = db.session.get(DeletedUser, user_id)
    if user is None or deleted is None or user.state != State.DELETED or not deleted.sealed:
        raise NotFound  # also once the purge has begun
    if not outranks(actor, user.rank):
        raise Forbidden
    kept = crypto.unseal(deleted.sealed, place=_place(user.id))
    _keep_names_single(user.id, kept)
    verified = kept.pop("email_verified_at")
    for name, value in kept.items():
        setattr(user, name, value)
    user.email_verified_at = datetime.fromisoformat(verified) if verified else None
    raise_epoch(user)
    names.refresh_search_text(user)
    names.release("username", user.username_canonical)
    if user.email_canonical:
        names.release("email", user.email_canonical)
    db.session.delete(deleted)
    record(actor, events.ACCOUNT_RESTORED, target_of(user))
    return user


def _keep_names_single(user_id: UUID, kept: dict[str, Any]) -> None:
    """Raises Conflict when a name got another holder: a reservation ends with the SECRET_KEY it was made under."""
    held = or_(
        Account.username_canonical == kept["username_canonical"], Account.email_canonical == kept["email_canonical"]
    )
    if db.session.scalar(select(Account.id).where(held, Account.id != user_id).limit(1)) is not None:
        raise Conflict(gettext("The username or the e-mail address is held by another account by now."))


@needs(Capability.USER_DELETE)
def list_deleted(actor: Actor, cursor: str | None = None) -> tuple[Page[DeletedUser], dict[UUID, str]]:
    """One page of deleted users, latest first, and the sealed username of each for those who may restore it."""
    page = page_of(
        select(DeletedUser).where(DeletedUser.sealed != ""),  # nobody whose purge has begun
        [DeletedUser.deleted_at.desc(), DeletedUser.user_id.desc()],
        cursor,
        purpose="deleted",
    )
    opened = {row.user_id: crypto.unseal(row.sealed, place=_place(row.user_id))["username"] for row in page.items}
    return page, opened
