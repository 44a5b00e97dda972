"""The people of the tests: Alice and Bob (users), Tess, Theo, Tara (levels 1, 2, 3), Ada (admin), Max (admin
with no permission). Each has the same password, hashed once."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import select

from portal.accounts.models import Account, Admin, StaffMember, State, User
from portal.accounts.names import search_text_of
from portal.core import access, clock
from portal.core.database import db, transaction
from portal.core.ids import new_id
from portal.signin.passwords import hash_password
from portal.signin.sessions import actor_of
from portal.support.cases import find_held_case, in_case, open_case
from portal.usage.credits import open_balance
from portal.usage.plans import default_plan

if TYPE_CHECKING:
    from portal.core.actor import Actor

PASSWORD = "seven quiet lanterns 42"


@lru_cache(maxsize=1)
def hashed() -> str:
    """PASSWORD as stored."""
    return hash_password(PASSWORD)


def make_account(name: str, **columns: object) -> Account:
    """Store the person of this name; unknown names become users. Other columns as given."""
    made: dict[str, object] = {
        "id": new_id(),
        "username": name,
        "username_canonical": name,
        "email": f"{name}@example.org",
        "email_canonical": f"{name}@example.org",
        "email_verified_at": clock.now(),
        "display_name": name.capitalize(),
        "search_text": search_text_of(name, f"{name}@example.org", name.capitalize()),
        "password_hash": hashed(),
        "state": State.ACTIVE.value,
        "created_at": clock.now(),
        "last_seen_at": clock.now(),
    }
    levels = {"tess": 1, "theo": 2, "tara": 3}
    with transaction():
        account: Account
        if name in levels:
            account = StaffMember(**{**made, "level": levels[name], **columns})
        elif name == "ada":
            account = Admin(**{**made, "permissions": sorted(access.PERMISSIONS), **columns})
        elif name == "max":
            account = Admin(**{**made, "permissions": [], **columns})
        elif "permissions" in columns:
            account = Admin(**{**made, **columns})
        else:
            account = User(**{**made, "plan_id": default_plan().id, **columns})
        db.session.add(account)
        db.session.flush()
        if isinstance(account, User):
            open_balance(account.id)
    return account


def actor_named(name: str) -> Actor:
    """The person as an actor who has just proved who they are, for tests that call a verb."""
    account = db.session.scalars(select(Account).where(Account.username_canonical == name)).one()
    made = actor_of(account, address="203.0.113.9", request_id="test")
    return msgspec.structs.replace(made, entered_at=clock.now(), proven_at=clock.now())


def open_case_for(name: str, user: Account) -> str:
    """A case about this user that a staff member holds; answers its number."""
    with transaction():
        case = open_case(actor_named(name), user.id, reason="They called.", channel="phone", reference="T-1")
    return case.number


def acting(name: str, user: Account) -> Actor:
    """The person as an actor in a case about this user, opened if there is none."""
    who = actor_named(name)
    if who.kind == "staff" and find_held_case(who, user.id) is None:
        open_case_for(name, user)
    with transaction():
        return in_case(who, user.id)
