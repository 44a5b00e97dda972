"""New accounts: self-registration, invitations, and the first admin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from portal.accounts import names
from portal.accounts.lifecycle import (
    check_managed,
    checked_level,
    checked_permissions,
    mail_confirmation,
    target_of,
)
from portal.accounts.links import Purpose, look_at_link, make_link, spend_link
from portal.accounts.models import Account, Admin, StaffMember, State, User
from portal.audit import events
from portal.audit.record import record
from portal.core import clock, settings
from portal.core.access import Capability, check_recent, needs, open_to_all, recently
from portal.core.database import db
from portal.core.errors import Forbidden, Invalid, NotFound
from portal.core.ids import new_id
from portal.core.languages import known_language
from portal.core.text import Shown, gettext
from portal.mail.outbox import write_mail
from portal.mail.rendering import site_link
from portal.signin import passwords, throttle
from portal.signin.hashing import place
from portal.signin.sessions import actor_of
from portal.usage.credits import open_balance
from portal.usage.plans import default_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from portal.core.actor import Actor


# Said of a link that was not mailed but given to whoever invited.
HANDED_OVER = "handed_over"


@dataclass(frozen=True, slots=True)
class NewPerson:
    """What a new account is made of, as typed."""

    username: str
    email: str
    display_name: str = ""
    time_zone: str = ""
    language: str = ""


def checked_person(person: NewPerson, *, tell_email: bool) -> tuple[dict[str, str], bool]:
    """Columns for the names, and whether the e-mail is taken. All wrong fields are told at once. Raises Invalid."""
    wrong: dict[str, Shown] = {}
    columns: dict[str, str] = {}

    def check(read: Callable[[], dict[str, str]]) -> None:
        try:
            columns.update(read())
        except Invalid as error:
            wrong.update(error.fields)

    check(lambda: dict(zip(("username", "username_canonical"), names.checked_username(person.username), strict=True)))
    check(lambda: dict(zip(("email", "email_canonical"), names.checked_email(person.email), strict=True)))
    check(lambda: {"display_name": names.checked_display_name(person.display_name)})
    columns["language"] = known_language(person.language)
    check(lambda: {"time_zone": names.checked_zone(person.time_zone)})
    domains = settings.current().email_domains
    taken = False
    if "email" not in wrong:
        if domains and tell_email and columns["email_canonical"].partition("@")[2] not in domains:
            wrong["email"] = gettext("Addresses of this domain cannot register here.")
        taken = names.email_taken(columns["email_canonical"])
    if "username" not in wrong and names.username_taken(columns["username_canonical"]):
        wrong["username"] = gettext("This username is taken.")
    if wrong:
        raise Invalid(wrong)
    return columns, taken


def add_account(account: Account) -> None:
    """Store a new account; of several who take one name at the same moment the database lets one through.

    Raises Invalid at `username` or `email`.
    """
    names.refresh_search_text(account)
    try:
        with db.session.begin_nested():
            db.session.add(account)
    except IntegrityError as error:
        which = "email" if "email_canonical" in str(error.orig) else "username"
        words = gettext("Another account has this address.") if which == "email" else gettext("This username is taken.")
        raise Invalid({which: words}) from None
    if isinstance(account, User):
        open_balance(account.id)


@open_to_all("anybody may register when REGISTRATION is open")
def register(actor: Actor, person: NewPerson, password: str) -> User | None:
    """A new user on the default plan.

    With CONFIRM_EMAIL the account waits for its mailed link and None is answered, whether or not the e-mail
    was known: its owner is told by mail. Raises Invalid, Forbidden, LimitReached.
    """
    if settings.current().registration != "open":
        raise Forbidden(gettext("Registration is not open here."))
    with place():  # before anything is counted: whoever finds none has not tried
        throttle.take_try(throttle.counter_of("register", actor.address), throttle.counter_of("all-registrations", ""))
        columns, email_taken = checked_person(person, tell_email=True)
        passwords.check_policy(password, kind="user", username=person.username, email=person.email)
        hashed = passwords.hash_password(password)
    plan = default_plan()
    confirm = bool(settings.current().confirm_email)
    if email_taken and not confirm:
        raise Invalid({"email": gettext("Another account has this address.")})
    if confirm:
        # By the address as typed, known or not: nobody fills the letter box of another.
        throttle.count_try(throttle.counter_of("mail", columns["email"]), throttle.counter_of("all-mails", ""))
    if email_taken:
        tell_owner(columns["email"])
        return None
    user = User(
        id=new_id(),
        **columns,
        password_hash=hashed,
        state=State.ACTIVE.value,
        plan_id=plan.id,
        created_at=clock.now(),
        last_seen_at=clock.now(),
    )
    try:
        add_account(user)
    except Invalid as error:
        if confirm and set(error.fields) == {"email"}:  # somebody took it a moment ago: answered as if before
            tell_owner(columns["email"])
            return None
        raise
    own = actor_of(user, address=actor.address, request_id=actor.request_id, credential="none")
    record(own, events.ACCOUNT_REGISTERED, target_of(user), {"kind": "user", "plan": plan.name})
    if not confirm:
        return user
    mail_confirmation(user)
    return None


def tell_owner(email: str) -> None:
    """Tell the owner of an address, and nobody else, that somebody wanted to register with it."""
    write_mail(email, "already_registered", {"link": site_link("/forgotten")})


@open_to_all("whoever holds the mailed link")
def confirm_email(actor: Actor, token: str) -> Account:
    """Spend a confirmation link. Raises NotFound."""
    link = spend_link(token, Purpose.CONFIRM)
    account = db.session.get(Account, link.account_id)
    if account is None or account.state == State.DELETED:
        raise NotFound
    account.email_verified_at = clock.now()
    record(
        actor_of(account, address=actor.address, request_id=actor.request_id, credential="link"),
        events.ACCOUNT_CONFIRMED,
        target_of(account),
    )
    return account


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invited account. `link` is given only where no mail leaves or none was wanted, to be shown once."""

    account: Account
    link: str | None


@needs(Capability.USER_WRITE)
def invite_user(actor: Actor, person: NewPerson, *, plan_id: UUID, by_mail: bool = True) -> Invitation:
    """A user who sets the own password by link; without `by_mail` the actor hands it over. Raises Invalid."""
    columns, taken = checked_person(person, tell_email=False)
    refuse_taken(taken)
    user = User(id=new_id(), **columns, plan_id=plan_id, **_invited())
    return _invite(actor, user, by_mail=by_mail)


@needs(Capability.STAFF_MANAGE)
@recently(factor=True)
def invite_staff(actor: Actor, person: NewPerson, *, level: int) -> Invitation:
    """A staff member of this level. Raises Invalid, Forbidden."""
    checked_level(actor, level)
    columns, taken = checked_person(person, tell_email=False)
    refuse_taken(taken)
    return _invite(actor, StaffMember(id=new_id(), **columns, level=level, **_invited()))


@needs(Capability.ADMIN_MANAGE)
@recently(factor=True)
def invite_admin(actor: Actor, person: NewPerson, *, permissions: list[str]) -> Invitation:
    """An admin with these permissions. Raises Invalid, Forbidden."""
    granted = checked_permissions(actor, permissions)
    columns, taken = checked_person(person, tell_email=False)
    refuse_taken(taken)
    return _invite(actor, Admin(id=new_id(), **columns, permissions=granted, **_invited()))


@needs(Capability.USER_WRITE, Capability.STAFF_MANAGE, Capability.ADMIN_MANAGE)
def invite_again(actor: Actor, account_id: UUID) -> Invitation:
    """A fresh invitation link; the earlier one dies. For staff and admins it asks what inviting them does.

    Raises NotFound, Forbidden, ReauthNeeded.
    """
    account = db.session.get(Account, account_id)
    if account is None or account.state != State.INVITED:
        raise NotFound
    check_managed(actor, account)
    if not isinstance(account, User):
        check_recent(actor, factor=True)
    return _send_invitation(actor, account)


def _invited() -> dict[str, object]:
    return {"state": State.INVITED.value, "created_at": clock.now(), "last_seen_at": clock.now()}


def refuse_taken(taken: bool) -> None:
    """Raises Invalid where the e-mail address is another account's: to admins that is told."""
    if taken:
        raise Invalid({"email": gettext("Another account has this address.")})


def _invite(actor: Actor, account: Account, *, by_mail: bool = True) -> Invitation:
    add_account(account)
    if by_mail:
        return _send_invitation(actor, account)
    link = site_link(make_link(Purpose.INVITATION, account, {HANDED_OVER: True}))
    record(actor, events.ACCOUNT_INVITED, target_of(account), {"kind": account.kind, "handed_over": True})
    return Invitation(account, link)


def _send_invitation(actor: Actor, account: Account) -> Invitation:
    throttle.count_try(
        throttle.counter_of("mail", account.email),
        throttle.counter_of("invite", str(actor.id)),
        throttle.counter_of("all-mails", ""),
    )
    link = site_link(make_link(Purpose.INVITATION, account))
    values = {"name": account.shown_name, "by": actor.name, "link": link}
    write_mail(account.email or "", "invitation", values, language=account.language, account_id=account.id)
    record(actor, events.ACCOUNT_INVITED, target_of(account), {"kind": account.kind, "handed_over": False})
    return Invitation(account, None if settings.current().mail_leaves else link)


def invited_account(token: str) -> Account:
    """Whom an invitation link is for, without spending it. Raises NotFound."""
    account = db.session.get(Account, look_at_link(token, Purpose.INVITATION).account_id)
    if account is None or account.state != State.INVITED:
        raise NotFound
    return account


@open_to_all("whoever holds the invitation link")
def accept_invitation(actor: Actor, token: str, password: str) -> Account:
    """Set the first password and make the account active. Raises Invalid, NotFound."""
    invited = invited_account(token)
    passwords.check_policy(password, kind=invited.kind, username=invited.username, email=invited.email or "")
    hashed = passwords.hash_password(password)
    link = spend_link(token, Purpose.INVITATION)
    invited.password_hash = hashed
    invited.state = State.ACTIVE.value
    if not link.facts.get(HANDED_OVER):
        invited.email_verified_at = clock.now()
    elif settings.current().confirm_email:  # a link that came another way says nothing about the letter box
        mail_confirmation(invited)
    own = actor_of(invited, address=actor.address, request_id=actor.request_id, credential="link")
    record(own, events.ACCOUNT_ACTIVATED, target_of(invited), {"kind": invited.kind})
    return invited
