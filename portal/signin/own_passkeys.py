"""The passkeys of one's own account: seen, added, renamed, removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from portal.accounts.directory import own_account
from portal.accounts.lifecycle import target_of
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs, recently
from portal.core.database import db
from portal.core.errors import Conflict, Invalid, NotFound
from portal.core.ids import new_id
from portal.core.text import BadName, clean_line, gettext
from portal.signin import throttle
from portal.signin.factors import Factors, check_removable, factors_of, note_factors
from portal.signin.models import Passkey
from portal.signin.passkeys import Challenge, challenge_new, check_new, passkeys_of
from portal.signin.recovery import make_recovery_codes
from portal.signin.sessions import keep_only_session

if TYPE_CHECKING:
    from uuid import UUID

    from portal.accounts.models import Account
    from portal.core.actor import Actor

MOST = 20


@dataclass(frozen=True, slots=True)
class Added:
    """A passkey that was added: the new secret of the session, and the recovery codes that come with a first factor."""

    passkey: Passkey
    secret: str | None
    codes: list[str]


@needs(Capability.OWN_SECURITY)
def own_passkeys(actor: Actor) -> list[Passkey]:
    """The actor's passkeys, oldest first."""
    return passkeys_of(own_account(actor))


@needs(Capability.OWN_SECURITY)
def own_passkey(actor: Actor, passkey_id: UUID) -> Passkey:
    """One of the actor's passkeys. Raises NotFound."""
    passkey = db.session.scalars(
        select(Passkey).where(Passkey.id == passkey_id, Passkey.account_id == actor.id)
    ).first()
    if passkey is None:
        raise NotFound
    return passkey


@needs(Capability.OWN_SECURITY)
@recently(factor=True)
@recently()
def begin_adding(actor: Actor) -> Challenge:
    """A challenge to make one more passkey. Raises Conflict when there are too many, LimitReached."""
    throttle.take_try(throttle.counter_of("challenge", actor.address))
    account = own_account(actor)
    _check_room(account)
    return challenge_new(account)


@needs(Capability.OWN_SECURITY)
@recently(factor=True)
@recently()
def add_passkey(actor: Actor, secret: str | None, answer: str, *, name: str) -> Added:
    """Add what the authenticator made for the challenge. Every other session ends. Raises Invalid, Conflict."""
    account = own_account(actor)
    called = _checked_name(name) or gettext("Passkey")
    had = _check_room(account)
    made = check_new(secret, answer, account=account)
    if db.session.scalar(select(Passkey.id).where(Passkey.credential_id == made.credential_id)):
        raise Conflict(gettext("This passkey has been added already."))
    passkey = Passkey(
        id=new_id(),
        account_id=account.id,
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        name=called,
        transports=made.transports,
        backed_up=made.backed_up,
        created_at=clock.now(),
    )
    db.session.add(passkey)
    note_factors(account)
    codes = [] if had.any else make_recovery_codes(actor, account)
    record(actor, events.PASSKEY_ADDED, target_of(account), {"name": called})
    notify(account, gettext("The passkey “%(name)s” was added: it opens your account.", name=called))
    return Added(passkey, keep_only_session(actor, account), codes)


@needs(Capability.OWN_SECURITY)
@recently()
def rename_passkey(actor: Actor, passkey_id: UUID, *, name: str) -> Passkey:
    """Give a passkey another name. Raises Invalid, NotFound."""
    account, passkey = own_account(actor), own_passkey(actor, passkey_id)
    called, before = _checked_name(name), passkey.name
    if not called:
        raise Invalid({"name": gettext("Give it a name.")})
    if called != before:
        passkey.name = called
        record(actor, events.PASSKEY_CHANGED, target_of(account), {"from": before, "to": called})
        words = gettext("The passkey “%(before)s” is now called “%(after)s”.", before=before, after=called)
        notify(account, words)
    return passkey


@dataclass(frozen=True, slots=True)
class Removal:
    """What comes of removing a passkey: why it must stay, if it must, and whether no second factor would be left."""

    refused: str | None
    last_factor: bool


@needs(Capability.OWN_SECURITY)
def what_removing_does(actor: Actor, passkey: Passkey, *, other_way_in: bool = False) -> Removal:
    """Look before removing."""
    account = own_account(actor)
    refused = None
    try:
        _check_removable(account, passkey, other_way_in=other_way_in)
    except Conflict as error:
        refused = str(error.words)
    return Removal(refused, factors_of(account.id).only_one)


def _check_removable(account: Account, passkey: Passkey, *, other_way_in: bool) -> None:
    """Raises Conflict when the account would lose a factor that it must have, or its only way in."""
    check_removable(account)
    if account.password_hash is None and not other_way_in and factors_of(account.id).passkeys == 1:
        words = gettext("“%(name)s” is the only way into your account. Set a password first.", name=passkey.name)
        raise Conflict(words)


@needs(Capability.OWN_SECURITY)
@recently(factor=True)
@recently()
def remove_passkey(actor: Actor, passkey_id: UUID, *, other_way_in: bool = False) -> str | None:
    """Remove a passkey; answers the new secret of the session, and every other ends. Raises NotFound, Conflict.

    `other_way_in` says whether an outside sign-in is linked, by which an account without a password is opened.
    """
    account, passkey = own_account(actor), own_passkey(actor, passkey_id)
    _check_removable(account, passkey, other_way_in=other_way_in)
    name = passkey.name
    gone = db.session.execute(
        delete(Passkey)
        .where(Passkey.id == passkey_id, Passkey.account_id == account.id)
        .returning(Passkey.id)
        .execution_options(synchronize_session=False)
    ).scalar()
    db.session.expunge(passkey)
    if gone is None:
        raise NotFound
    note_factors(account)
    record(actor, events.PASSKEY_REMOVED, target_of(account), {"name": name})
    notify(account, gettext("The passkey “%(name)s” was removed: it opens your account no more.", name=name))
    return keep_only_session(actor, account)


def _check_room(account: Account) -> Factors:
    has = factors_of(account.id)
    if has.passkeys >= MOST:
        raise Conflict(gettext("You have %(most)s passkeys, and that is the most. Remove one first.", most=MOST))
    return has


def _checked_name(typed: str) -> str:
    try:
        return clean_line(typed)
    except BadName as error:
        raise Invalid({"name": str(error)}) from None
