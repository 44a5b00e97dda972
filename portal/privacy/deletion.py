"""Delete, restore, list: the live row keeps its id and nothing personal, so ledger and logs keep their meaning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select

from portal.accounts import names
from portal.accounts.lifecycle import raise_epoch, target_of
from portal.accounts.links import forget_links
from portal.accounts.models import Account, ReservedName, State, User
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock, crypto, settings
from portal.core.access import Capability, check_case, needs, outranks, recently
from portal.core.database import db
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.ids import parse_id
from portal.core.masks import mask_email
from portal.core.pages import Page, page_of
from portal.core.text import BadName, canonical_email, canonical_username, folded, gettext
from portal.keys.models import ApiKey
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


@dataclass(frozen=True, slots=True)
class DeletedSeen:
    """A deleted user as whoever may restore them sees them; the e-mail is masked for who sees none. `state` is what it
    would be again, `keys` how many stay revoked.
    """

    id: UUID
    username: str
    email: str
    state: str
    keys: int
    deleted_at: datetime
    deleted_by: str
    reason: str
    purge_after: datetime


def _place(user_id: UUID) -> str:
    return f"deleted_users:{user_id}"


def purge_date() -> datetime:
    """Until when a user who is deleted now can be restored."""
    return clock.now() + timedelta(days=settings.current().deleted_retention_days)


@needs(Capability.USER_DELETE)
@recently(factor=True)
def delete_user(actor: Actor, user_id: UUID, *, typed_name: str | None) -> DeletedUser:
    """Seal the personal data, end sessions, revoke keys for good, keep the names reserved. Wants a reason, and of
    people at a form the username typed once more; a program, which names the user by id, has None to give.

    Raises NotFound, Forbidden, Invalid.
    """
    user = db.session.get(User, user_id)
    if user is None or user.state == State.DELETED:
        raise NotFound
    if not outranks(actor, user.rank):
        raise Forbidden
    if not actor.reason:
        raise Invalid({"reason": gettext("Say why.")})
    if typed_name is not None and folded(typed_name.strip()) != user.username_canonical:
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


@needs(Capability.USER_DELETE, Capability.USER_RESTORE, case=True)
@recently(factor=True)
def restore_user(actor: Actor, user_id: UUID) -> User:
    """Put the personal data back. Sessions, tokens and keys of before stay dead. Raises NotFound, Forbidden,
    Conflict, CaseNeeded, Invalid at "reason"."""
    check_case(actor, user_id)
    user, deleted = restorable(actor, user_id)
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


@needs(Capability.USER_DELETE, Capability.USER_RESTORE)
def restorable(actor: Actor, user_id: UUID) -> tuple[User, DeletedUser]:
    """A deleted user who can still be restored, and the row of the deletion. Raises NotFound, Forbidden."""
    user = db.session.get(User, user_id)
    deleted = db.session.get(DeletedUser, user_id)
    if user is None or deleted is None or user.state != State.DELETED or not deleted.sealed:
        raise NotFound  # also once the purge has begun
    if not outranks(actor, user.rank):
        raise Forbidden
    return user, deleted


@needs(Capability.USER_DELETE, Capability.USER_RESTORE)
def see_deleted(actor: Actor, user_id: UUID) -> DeletedSeen:
    """A deleted user before anything is done with them. Leaves an entry of the look. Raises NotFound, Forbidden."""
    user, deleted = restorable(actor, user_id)
    kept = crypto.unseal(deleted.sealed, place=_place(user.id))
    email = kept["email"] or ""
    record(actor, events.RECORD_VIEWED, Target("user", user.id, None))
    owned = select(func.count()).select_from(ApiKey).where(ApiKey.user_id == user_id)
    return DeletedSeen(
        id=user.id,
        username=kept["username"],
        email=email if actor.may(Capability.USER_CONTACT) else mask_email(email),
        state=kept["state"],
        keys=db.session.scalar(owned) or 0,
        deleted_at=deleted.deleted_at,
        deleted_by=deleted.deleted_by,
        reason=deleted.reason,
        purge_after=deleted.purge_after,
    )


@needs(Capability.USER_DELETE, Capability.USER_RESTORE)
def find_deleted(actor: Actor, typed: str) -> UUID | None:
    """The deleted user with this very username, e-mail address or id, if they can still be restored.

    Of a deleted user no name is held, only the digest that keeps it from others: no part of one finds anything.
    """
    wanted = typed.strip()
    if (found := parse_id(wanted)) is None:
        found = _holder_of(wanted)
    kept = select(DeletedUser.user_id).where(DeletedUser.user_id == found, DeletedUser.sealed != "")
    return db.session.scalar(kept) if found is not None else None


def _holder_of(typed: str) -> UUID | None:
    """Who holds the name that was typed in reserve, as deleted users do."""
    digests = []
    for kind, canonical in (("username", canonical_username), ("email", canonical_email)):
        try:
            digests += crypto.keyed_digests(f"reserved-{kind}", canonical(typed))
        except BadName:
            continue
    held = select(ReservedName.account_id).where(ReservedName.digest.in_(digests))
    deleted = held.join(DeletedUser, DeletedUser.user_id == ReservedName.account_id)
    return db.session.scalar(deleted.limit(1)) if digests else None


def sealed_name(user_id: UUID, deleted: DeletedUser) -> str:
    """The username that a deleted user had."""
    kept: str = crypto.unseal(deleted.sealed, place=_place(user_id))["username"]
    return kept


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
    opened = {row.user_id: sealed_name(row.user_id, row) for row in page.items}
    return page, opened
