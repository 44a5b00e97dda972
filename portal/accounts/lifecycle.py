"""What admins do to accounts: edit, suspend, reactivate, change levels and permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from portal.accounts import names
from portal.accounts.links import Purpose, make_link
from portal.accounts.models import Account, Admin, Kind, StaffMember, State, User
from portal.accounts.notices import address_of, tell_former_address
from portal.accounts.zones import check_pause, move_account
from portal.audit import events
from portal.audit.record import Target, record
from portal.core import access, settings
from portal.core.access import Capability, check_case, check_recent, needs, outranks, recently
from portal.core.database import db
from portal.core.errors import Conflict, Forbidden, Invalid, NotFound
from portal.core.text import gettext
from portal.mail.outbox import write_mail
from portal.mail.rendering import site_link

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor


def target_of(account: Account) -> Target:
    """An account as the target of an audit entry."""
    return Target(account.kind, account.id, account.username)


def raise_epoch(account: Account) -> None:
    """Kill every session, token and key issued to the account before now."""
    account.epoch = account.epoch + 1


def mail_confirmation(account: Account) -> None:
    """Mail the link that confirms the account's address; one of before dies."""
    values = {"name": account.shown_name, "link": site_link(make_link(Purpose.CONFIRM, account))}
    write_mail(account.email or "", "confirm", values, language=account.language, account_id=account.id)


def check_outranked(actor: Actor, account: Account) -> None:
    """The account lives, is another's, and of lower rank. Raises Forbidden, NotFound."""
    if account.state == State.DELETED:
        raise NotFound
    if account.id == actor.id:
        raise Forbidden(gettext("You cannot do this to your own account."))
    if not outranks(actor, account.rank):
        raise Forbidden(gettext("You cannot act on an account of this rank."))


MANAGING: dict[str, Capability] = {
    Kind.USER.value: Capability.USER_WRITE,
    Kind.STAFF.value: Capability.STAFF_MANAGE,
    Kind.ADMIN.value: Capability.ADMIN_MANAGE,
}


def check_managed(actor: Actor, account: Account, *of_users: Capability) -> None:
    """Users are managed with user.write, staff with staff.manage, admins with admin.manage.

    `of_users` are capabilities any of which will do besides where the account is a user's; staff, who hold nothing
    else, must act in a case about that user. Raises Forbidden, NotFound, CaseNeeded.
    """
    wanted = {MANAGING[account.kind], *(of_users if account.kind == Kind.USER else ())}
    if actor.capabilities.isdisjoint(wanted):
        raise Forbidden
    check_outranked(actor, account)
    check_case(actor, account.id)


@needs(Capability.USER_WRITE)
def editable_user(actor: Actor, user_id: UUID) -> User:
    """The user for an edit form. Raises NotFound, Forbidden."""
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound
    check_managed(actor, user)
    return user


@needs(Capability.USER_WRITE)
def edit_user(
    actor: Actor,
    user_id: UUID,
    *,
    version: int,
    display_name: str,
    email: str,
    time_zone: str,
    daily_limit_override: int | None,
) -> User:
    """Change a user's record. `version` is the one that was shown. Another zone lets the user's day go on (zones.py);
    an own daily limit of None means that the plan decides. Raises Conflict, Invalid, NotFound.
    """
    user = editable_user(actor, user_id)
    if user.version != version:
        raise Conflict(gettext("Someone else changed this record while you were editing it. Nothing was saved."))
    shown, canonical = names.checked_email(email)
    if canonical != user.email_canonical:
        check_recent(actor, factor=True)  # whoever reads the mail of an address can have the account
    if names.email_taken(canonical, but=user.id):
        raise Invalid({"email": gettext("Another account has this address.")})
    if daily_limit_override is not None and not 0 <= daily_limit_override <= 1_000_000:
        raise Invalid({"daily_limit_override": gettext("A whole number from 0 to 1,000,000.")})
    wanted = {"display_name": names.checked_display_name(display_name), "email": shown}
    checked_zone = names.checked_zone(time_zone)
    if user.time_zone != checked_zone:
        move_account(actor, user, checked_zone)
    if user.daily_limit_override != daily_limit_override:
        facts = {"from": user.daily_limit_override, "to": daily_limit_override}
        record(actor, events.LIMIT_CHANGED, target_of(user), facts)
        user.daily_limit_override = daily_limit_override
    changed = sorted(name for name, value in wanted.items() if getattr(user, name) != value)
    if not changed:
        return user
    former = address_of(user)
    for name in changed:
        setattr(user, name, wanted[name])
    if user.email_canonical != canonical:
        user.email_canonical, user.email_verified_at = canonical, None
        raise_epoch(user)  # a link mailed to the address of before must not open the account
        if settings.current().confirm_email and user.state == State.ACTIVE:
            mail_confirmation(user)
        tell_former_address(user, former)
    names.refresh_search_text(user)
    record(actor, events.ACCOUNT_EDITED, target_of(user), {"changed": changed})
    return user


@needs(Capability.OWN_PROFILE)
def edit_profile(actor: Actor, *, display_name: str, time_zone: str) -> Account:
    """Change the own display name and time zone; users change the zone once in seven days. Raises Invalid."""
    account = db.session.get(Account, actor.id)
    if account is None:
        raise NotFound
    name, wanted_zone = names.checked_display_name(display_name), names.checked_zone(time_zone)
    if account.time_zone != wanted_zone:
        check_pause(account)
        move_account(actor, account, wanted_zone)
    if account.display_name != name:
        account.display_name = name
        names.refresh_search_text(account)
        record(actor, events.PROFILE_EDITED, target_of(account), {"changed": ["display_name"]})
    return account


@needs(Capability.USER_WRITE, Capability.USER_SUSPEND, Capability.STAFF_MANAGE, Capability.ADMIN_MANAGE, case=True)
def suspend(actor: Actor, account_id: UUID) -> Account:
    """Stop an account from doing anything: its sessions, tokens and keys are dead from now. Wants a reason."""
    account = _found(account_id)
    check_managed(actor, account, Capability.USER_SUSPEND)
    if not actor.reason:
        raise Invalid({"reason": gettext("Say why.")})
    before = account.state
    if before not in {State.ACTIVE, State.CLOSING}:
        raise Conflict(gettext("Only an active account can be suspended."))
    _keep_a_full_admin(account)
    account.state = State.SUSPENDED.value
    if isinstance(account, User):
        account.closes_at = None  # else whoever is to be stopped could leave, and come back unsuspended
    raise_epoch(account)
    record(actor, events.ACCOUNT_SUSPENDED, target_of(account), {"from": before, "to": "suspended"})
    return account


@needs(Capability.USER_WRITE, Capability.USER_SUSPEND, Capability.STAFF_MANAGE, Capability.ADMIN_MANAGE, case=True)
def reactivate(actor: Actor, account_id: UUID) -> Account:
    """Let a suspended account in again, or keep one that was being closed. Sessions and tokens of before stay dead;
    keys work again. Raises NotFound, Forbidden, Conflict."""
    account = _found(account_id)
    check_managed(actor, account, Capability.USER_SUSPEND)
    if account.state not in {State.SUSPENDED, State.CLOSING}:
        raise Conflict(gettext("Only a suspended account, or one that is being closed, can be reactivated."))
    before, account.state = account.state, State.ACTIVE.value
    if isinstance(account, User):
        account.closes_at = None
    record(actor, events.ACCOUNT_REACTIVATED, target_of(account), {"from": before, "to": "active"})
    return account


@needs(Capability.STAFF_MANAGE)
@recently(factor=True)
def change_level(actor: Actor, staff_id: UUID, level: int) -> StaffMember:
    """Give a staff member another level. Raises Invalid, NotFound."""
    member = db.session.get(StaffMember, staff_id)
    if member is None:
        raise NotFound
    check_managed(actor, member)
    checked_level(actor, level)
    if member.level != level:
        record(actor, events.STAFF_CHANGED, target_of(member), {"from": member.level, "to": level})
        member.level = level
        raise_epoch(member)  # a session of the former level is no session of this one
    return member


@needs(Capability.ADMIN_MANAGE)
@recently(factor=True)
def change_permissions(actor: Actor, admin_id: UUID, permissions: list[str]) -> Admin:
    """Give an admin another set of permissions; nobody grants what they lack. Raises Invalid, Conflict."""
    admin = db.session.get(Admin, admin_id)
    if admin is None:
        raise NotFound
    check_managed(actor, admin)
    wanted = checked_permissions(actor, permissions)
    if set(wanted) == set(admin.permissions):
        return admin
    if set(admin.permissions) - set(wanted):
        _keep_a_full_admin(admin)
    record(actor, events.ADMIN_CHANGED, target_of(admin), {"from": sorted(admin.permissions), "to": wanted})
    admin.permissions = wanted
    raise_epoch(admin)
    return admin


def checked_level(actor: Actor, level: int) -> int:
    """A level the actor may grant. Raises Invalid, Forbidden."""
    if level not in access.LEVELS:
        raise Invalid({"level": gettext("A level is 1, 2 or 3.")})
    if actor.rank <= access.RANK_STAFF + level:
        raise Forbidden
    return level


def checked_permissions(actor: Actor, permissions: list[str]) -> list[str]:
    """Permissions that exist and that the actor holds. Raises Invalid, Forbidden."""
    unknown = set(permissions) - set(access.PERMISSIONS)
    if unknown:
        raise Invalid({"permissions": gettext("There is no such permission.")})
    granted = frozenset().union(*(access.PERMISSIONS[name] for name in permissions))
    if not granted <= actor.capabilities:
        raise Forbidden(gettext("You cannot grant what you do not hold."))
    return sorted(set(permissions))


def _keep_a_full_admin(account: Account) -> None:
    """Refuse to take away the last full admin. Raises Conflict.

    All admins are written as they are first, so that two who remove each other at the same moment take turns: a
    SELECT … FOR UPDATE would open no transaction here and hold nothing.
    """
    if not isinstance(account, Admin) or not account.is_full:
        return
    db.session.execute(update(Admin).values(permissions=Admin.permissions).execution_options(synchronize_session=False))
    others = db.session.scalars(
        select(Admin)
        .where(Admin.state == State.ACTIVE.value, Admin.id != account.id)
        .execution_options(populate_existing=True)
    )
    if not any(other.is_full for other in others):
        raise Conflict(gettext("This is the last full admin; make another one first."))


def _found(account_id: UUID) -> Account:
    account = db.session.get(Account, account_id)
    if account is None:
        raise NotFound
    return account


def admins_exist() -> bool:
    """Whether anybody can administer this installation yet."""
    return bool(db.session.scalar(select(func.count()).select_from(select(Admin.account_id).limit(1).subquery())))
