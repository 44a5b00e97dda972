"""Identities at providers that open an account here: linked by their owner, listed, unlinked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from portal.accounts.lifecycle import target_of
from portal.accounts.models import Account
from portal.accounts.notices import notify
from portal.audit import events
from portal.audit.record import record
from portal.core import clock
from portal.core.access import Capability, needs, recently
from portal.core.database import db
from portal.core.errors import Conflict, NotFound, SignInNeeded
from portal.core.ids import new_id
from portal.core.text import gettext
from portal.outside.models import ExternalIdentity
from portal.outside.providers import WayIn, enabled_issuers, provider_named, ways_in
from portal.outside.tokens import Vouched
from portal.signin.factors import factors_of
from portal.signin.sessions import keep_only_session
from portal.signin.steps import Step, begin_step, look_at_step, take_step

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.core.provider_terms import ProviderTerms

MOST_LINKED = 10
WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Linkable:
    """Somebody at a provider who waits to be linked with an account, once its owner says so."""

    slug: str
    name: str
    person: Vouched


def identity_of(account_id: UUID, issuer: str) -> ExternalIdentity | None:
    """The identity at this issuer that opens the account, the latest one."""
    query = select(ExternalIdentity).where(ExternalIdentity.account_id == account_id, ExternalIdentity.issuer == issuer)
    return db.session.scalars(query.order_by(ExternalIdentity.created_at.desc()).limit(1)).first()


def begin_waiting(terms: ProviderTerms, person: Vouched, account: Account | None) -> str:
    """Let an identity wait until an owner confirms that it is to be linked; answers the secret for the browser's
    cookie. Without an account, until somebody has signed in there."""
    facts = {"aim": WAITING, "provider": terms.slug, "name": terms.name, "person": asdict(person)}
    return begin_step(Step.PROVIDER, account, facts)


@needs(Capability.OWN_SECURITY)
def own_identities(actor: Actor) -> list[ExternalIdentity]:
    """What is linked with one's account."""
    query = select(ExternalIdentity).where(ExternalIdentity.account_id == actor.id)
    return list(db.session.scalars(query.order_by(ExternalIdentity.created_at).limit(MOST_LINKED)))


@needs(Capability.OWN_SECURITY)
def ways_to_prove(actor: Actor) -> list[WayIn]:
    """The providers by which one may show again who one is: the linked ones, where there is no password."""
    if _own(actor).password_hash is not None:
        return []
    issuers = {identity.issuer for identity in own_identities(actor)}
    return [way for way in ways_in() if provider_named(way.slug).terms.issuer in issuers]


@needs(Capability.OWN_SECURITY)
def waiting_identity(actor: Actor, secret: str | None) -> Linkable:
    """Who waits in this browser to be linked. Raises SignInNeeded when nobody does any more."""
    _, account, facts = look_at_step(secret, Step.PROVIDER)
    if facts["aim"] != WAITING or (account is not None and account.id != actor.id):
        raise SignInNeeded(gettext("There is nothing to link any more. Begin again."))
    return Linkable(facts["provider"], facts["name"], Vouched(**facts["person"]))


@needs(Capability.OWN_SECURITY)
@recently()
def link_waiting(actor: Actor, secret: str | None) -> str | None:
    """Link who waits in this browser with one's account: from now on they may sign in to it. Answers the session's new
    secret; other sessions end.

    Raises SignInNeeded, NotFound when the provider is gone, Conflict when they belong to an account already.
    """
    waiting, account = waiting_identity(actor, secret), _own(actor)
    provider_named(waiting.slug)
    take_step(secret, Step.PROVIDER)
    if len(own_identities(actor)) >= MOST_LINKED:
        raise Conflict(gettext("At most %(most)s can be linked.", most=MOST_LINKED))
    add_identity(account, waiting.slug, waiting.person)
    record(actor, events.IDENTITY_LINKED, target_of(account), {"provider": waiting.slug})
    notify(account, gettext("Signing in with %(name)s was linked with your account.", name=waiting.name))
    return keep_only_session(actor, account)


def add_identity(account: Account, slug: str, person: Vouched) -> None:
    """Store that this person opens the account. Of many at once one is stored. Raises Conflict."""
    made = ExternalIdentity(
        id=new_id(),
        account_id=account.id,
        provider=slug,
        issuer=person.issuer,
        subject=person.subject,
        email=person.email[:320],
        created_at=clock.now(),
    )
    try:
        with db.session.begin_nested():
            db.session.add(made)
    except IntegrityError:
        raise Conflict(gettext("This sign-in is linked with an account already.")) from None


@needs(Capability.OWN_SECURITY)
@recently()
def unlink(actor: Actor, identity_id: UUID) -> str | None:
    """Take a link away, unless nothing else would open the account. Answers the session's new secret.

    Raises NotFound, Conflict.
    """
    account = _own(actor)
    identity = db.session.get(ExternalIdentity, identity_id, with_for_update=True)
    if identity is None or identity.account_id != account.id:
        raise NotFound
    if not _opens_otherwise(account, identity):
        raise Conflict(
            gettext("This is the last way into your account. Set a password by mail, or link another sign-in, first.")
        )
    record(actor, events.IDENTITY_UNLINKED, target_of(account), {"provider": identity.provider})
    notify(account, gettext("Signing in with %(name)s was unlinked from your account.", name=name_of(identity)))
    db.session.delete(identity)
    return keep_only_session(actor, account)


def name_of(identity: ExternalIdentity) -> str:
    """What its provider is called now, or was called in addresses where there is none any more."""
    return next((way.name for way in ways_in() if way.slug == identity.provider), identity.provider)


def _opens_otherwise(account: Account, without: ExternalIdentity) -> bool:
    if account.password_hash is not None or factors_of(account.id).passkeys:
        return True
    others = select(func.count()).where(
        ExternalIdentity.account_id == account.id,
        ExternalIdentity.id != without.id,
        ExternalIdentity.issuer.in_(enabled_issuers()),
    )
    return bool(db.session.scalar(others))


def _own(actor: Actor) -> Account:
    account = db.session.get(Account, actor.id)
    if account is None:
        raise NotFound
    return account
