"""The first admin: by the link that the first start prints, or at the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal.accounts.lifecycle import admins_exist, target_of
from portal.accounts.links import Purpose, look_at_link, make_link, spend_link
from portal.accounts.models import Admin, Kind, State
from portal.audit import events
from portal.audit.record import record
from portal.core import access, clock
from portal.core.access import Capability, needs, open_to_all
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.signin import passwords
from portal.signin.registration import NewPerson, add_account, checked_person, refuse_taken

if TYPE_CHECKING:
    from portal.core.actor import Actor


def offer_setup() -> str | None:
    """The path of a fresh link that makes the first admin, or None when there is one already."""
    return None if admins_exist() else make_link(Purpose.SETUP, None)


def look_at_setup(token: str) -> None:
    """Raises NotFound unless this link can still make the first admin."""
    look_at_link(token, Purpose.SETUP)
    if admins_exist():
        raise NotFound


@open_to_all("whoever holds the set-up link printed at the first start")
def make_first_admin(actor: Actor, token: str, person: NewPerson, password: str) -> Admin:
    """Make the first admin: of many at once, one. Raises Invalid, NotFound."""
    look_at_setup(token)
    columns, taken = checked_person(person, tell_email=False)
    refuse_taken(taken)
    passwords.check_policy(password, kind=Kind.ADMIN.value, username=person.username, email=person.email)
    hashed = passwords.hash_password(password)
    spend_link(token, Purpose.SETUP)
    if admins_exist():
        raise NotFound
    return _full_admin(actor, columns, hashed)


@needs(Capability.ADMIN_MANAGE)
def create_admin(actor: Actor, person: NewPerson, password: str) -> Admin:
    """A full admin with a password, made at the command line by whoever owns the machine. Raises Invalid."""
    columns, taken = checked_person(person, tell_email=False)
    refuse_taken(taken)
    passwords.check_policy(password, kind=Kind.ADMIN.value, username=person.username, email=person.email)
    return _full_admin(actor, columns, passwords.hash_password(password))


def _full_admin(actor: Actor, columns: dict[str, str], hashed: str) -> Admin:
    admin = Admin(
        id=new_id(),
        **columns,
        password_hash=hashed,
        state=State.ACTIVE.value,
        permissions=sorted(access.PERMISSIONS),
        email_verified_at=clock.now(),
        created_at=clock.now(),
        last_seen_at=clock.now(),
    )
    add_account(admin)
    record(actor, events.FIRST_ADMIN_MADE, target_of(admin))
    return admin
