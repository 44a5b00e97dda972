"""Who comes from a provider to sign in: known by (issuer, subject) and by nothing else; a new account for some.

An address alone links nobody: a provider may say what it likes of addresses that belong to others.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from portal.accounts import names
from portal.accounts.lifecycle import mail_confirmation, raise_epoch, target_of
from portal.accounts.links import Purpose
from portal.accounts.models import Account, Kind, OneTimeLink, State, User
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import record
from portal.core import clock, settings
from portal.core.database import db
from portal.core.errors import Invalid
from portal.core.ids import new_id
from portal.core.text import BadName, canonical_email, canonical_username, gettext
from portal.keys.models import ApiKey
from portal.keys.service import end_key
from portal.keys.service import target_of as target_of_key
from portal.outside.identities import add_identity, begin_waiting
from portal.outside.models import ExternalIdentity
from portal.signin import throttle
from portal.signin.devices import forget_devices
from portal.signin.entry import admit, check_may_enter
from portal.signin.models import SignInSession
from portal.signin.registration import add_account, tell_owner
from portal.signin.sessions import actor_of
from portal.usage.plans import default_plan

if TYPE_CHECKING:
    from portal.core.actor import Actor
    from portal.outside.providers import KnownProvider
    from portal.outside.tokens import Vouched
    from portal.signin.devices import Browser
    from portal.signin.entry import Entered, FactorOwed

TRIES = 20


@dataclass(frozen=True, slots=True)
class LinkWaiting:
    """Who came waits to be linked: the secret of the step. `known` says that the owner is signed in already."""

    secret: str
    known: bool


@dataclass(frozen=True, slots=True)
class ConfirmationSent:
    """A link was mailed to the address; whether an account was made for it is told to its owner alone."""

    email: str


def arrive(
    actor: Actor, provider: KnownProvider, person: Vouched, browser: Browser
) -> Entered | FactorOwed | LinkWaiting | ConfirmationSent:
    """Let in whoever is linked with an account; for others make one where that is allowed, or ask the owner of the
    account with this address to sign in and link it. Raises Invalid, LimitReached.

    A second factor that is set up here is asked for all the same: what the provider asked is not known here, and may be
    less tomorrow.
    """
    slug = provider.terms.slug
    query = select(ExternalIdentity).where(
        ExternalIdentity.issuer == person.issuer, ExternalIdentity.subject == person.subject
    )
    identity = db.session.scalars(query).first()
    if identity is not None:
        account = db.session.get_one(Account, identity.account_id)
        check_may_enter(actor, account)
        identity.last_used_at, identity.email = clock.now(), person.email[:320] or identity.email
        return admit(actor, account, browser, method=slug)
    return _arrive_new(actor, provider, person, browser)


def _arrive_new(
    actor: Actor, provider: KnownProvider, person: Vouched, browser: Browser
) -> Entered | FactorOwed | LinkWaiting | ConfirmationSent:
    confirms = bool(settings.current().confirm_email)
    holder, taken = _holder_of(person.email)
    makes = _may_have_account(provider, person, confirms=confirms)
    if person.verified and makes and holder is not None and _is_unclaimed(holder):
        _clear(actor, provider, holder, person)
        check_may_enter(actor, holder)
        return admit(actor, holder, browser, method=provider.terms.slug)
    if person.verified and taken:
        # Whatever state that account is in: the answer is the same, and the password is asked for first.
        return LinkWaiting(begin_waiting(provider.terms, person, None), known=False)
    if not makes or (taken and not confirms):
        raise Invalid(
            {},
            gettext(
                "This sign-in of %(name)s is linked with no account here. If you have one, sign in to it and link "
                "%(name)s on the page Security.",
                name=provider.terms.name,
            ),
        )
    throttle.count_try(throttle.counter_of("register", actor.address), throttle.counter_of("all-registrations", ""))
    if not person.verified and confirms:
        throttle.count_try(throttle.counter_of("mail", person.email), throttle.counter_of("all-mails", ""))
    if taken:
        tell_owner(person.email)
        return ConfirmationSent(person.email)
    user = _make(actor, provider, person)
    if not person.verified and confirms:
        mail_confirmation(user)
        return ConfirmationSent(person.email)
    check_may_enter(actor, user)
    return admit(actor, user, browser, method=provider.terms.slug)


def _holder_of(email: str) -> tuple[Account | None, bool]:
    """Whose address this is, and whether it is taken at all: a deleted account holds its address for a while."""
    if not email:
        return None, False
    canonical = canonical_email(email)
    holder = db.session.scalars(select(Account).where(Account.email_canonical == canonical)).first()
    return holder, holder is not None or names.email_taken(canonical)


def _may_have_account(provider: KnownProvider, person: Vouched, *, confirms: bool) -> bool:
    """Whether the settings and the provider's terms let this person have an account of their own.

    A domain is proved by an address that the provider asserts, or by the link that is mailed to it.
    """
    if not provider.terms.makes_accounts or not person.email or settings.current().registration == "closed":
        return False
    domain = canonical_email(person.email).rpartition("@")[2]
    rules = [set(listed) for listed in (provider.terms.domains, settings.current().email_domains) if listed]
    if rules and not (person.verified or confirms):
        return False
    return all(domain in listed for listed in rules)


def _is_unclaimed(account: Account) -> bool:
    """Whether nobody has shown yet that the account's address is theirs. Staff, admins and accounts with a second
    factor are never given away by a provider's word."""
    return (
        account.kind == Kind.USER
        and account.state == State.ACTIVE
        and account.email_verified_at is None
        and not account.has_factor
        and account.locked_at is None
    )


def _clear(actor: Actor, provider: KnownProvider, account: Account, person: Vouched) -> None:
    """Give an account that nobody had claimed to the owner of its address: whatever somebody else may have put there to
    get in later is gone first."""
    account.password_hash = None
    raise_epoch(account)
    # The link that lies with the owner of an address of before is theirs, not of whoever came here later.
    links = delete(OneTimeLink).where(
        OneTimeLink.account_id == account.id, OneTimeLink.purpose != Purpose.KEEP_EMAIL.value
    )
    db.session.execute(links.execution_options(synchronize_session=False))
    for table in (ExternalIdentity, SignInSession):
        rows = delete(table).where(table.account_id == account.id)
        db.session.execute(rows.execution_options(synchronize_session=False))
    forget_devices(account.id)
    own = actor_of(account, address=actor.address, request_id=actor.request_id, credential=provider.terms.slug)
    living = select(ApiKey).where(ApiKey.user_id == account.id, ApiKey.revoked_at.is_(None))
    for key in db.session.scalars(living).all():
        if end_key(key, "owner"):
            record(own, events.KEY_REVOKED, target_of_key(key), {"name": key.name, "prefix": key.prefix})
    account.email_verified_at = clock.now()
    add_identity(account, provider.terms.slug, person)
    record(own, events.ACCOUNT_CONFIRMED, target_of(account))
    record(own, events.IDENTITY_LINKED, target_of(account), {"provider": provider.terms.slug})
    words = gettext(
        "You signed in with %(name)s, which confirmed your address. A password, links and API keys from before do not "
        "work any more.",
        name=provider.terms.name,
    )
    notify(account, words)
    db.session.flush()


def _make(actor: Actor, provider: KnownProvider, person: Vouched) -> User:
    """A new user on the default plan, with a free name near the one the provider told. Raises Invalid."""
    plan = default_plan()
    shown, canonical = names.checked_email(person.email)
    for name in _names_for(person):
        if names.username_taken(name):
            continue
        user = User(
            id=new_id(),
            username=name,
            username_canonical=name,
            email=shown,
            email_canonical=canonical,
            email_verified_at=clock.now() if person.verified else None,
            display_name=_shown_name(person),
            state=State.ACTIVE.value,
            plan_id=plan.id,
            created_at=clock.now(),
            last_seen_at=clock.now(),
        )
        try:
            add_account(user)
        except Invalid as error:  # somebody took the name, or the address, between our looking and our writing
            if "username" in error.fields:
                continue
            raise Invalid({}, gettext("Another account has this address.")) from None
        add_identity(user, provider.terms.slug, person)
        own = actor_of(user, address=actor.address, request_id=actor.request_id, credential=provider.terms.slug)
        record(own, events.ACCOUNT_REGISTERED, target_of(user), {"kind": "user", "plan": plan.name})
        record(own, events.IDENTITY_LINKED, target_of(user), {"provider": provider.terms.slug})
        return user
    raise Invalid({}, gettext("No name is free for this account just now. Try again."))


def _names_for(person: Vouched) -> list[str]:
    """Usernames in their canonical form, best first: as told, then with numbers, then with some that nobody guesses."""
    for told in (person.username, person.email):
        plain = unicodedata.normalize("NFKD", told.partition("@")[0]).encode("ascii", "ignore").decode().lower()
        stem = re.sub(r"[^a-z0-9._-]+", "-", plain).strip("._-")[:32]
        if len(stem) >= 3:
            break
    else:
        stem = "user"
    numbered = [f"{stem}-{number}" for number in range(2, TRIES)]
    drawn = [f"{stem}-{secrets.randbelow(10**6):06}" for _ in range(TRIES)]
    return [name for name in (stem, *numbered, *drawn) if _is_canonical(name)]


def _is_canonical(name: str) -> bool:
    try:
        return canonical_username(name) == name
    except BadName:
        return False


def _shown_name(person: Vouched) -> str:
    try:
        return names.checked_display_name(person.name)
    except Invalid:
        return ""
