"""Providers in the console: made, changed, tried, switched off, removed. Those of the settings are only shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.audit import events
from portal.audit.record import Target, record
from portal.core import clock, crypto, settings
from portal.core.access import Capability, needs, recently
from portal.core.database import db
from portal.core.errors import Conflict, Invalid, NotFound
from portal.core.ids import new_id
from portal.core.outgoing import Unreachable
from portal.core.provider_terms import MOST_PROVIDERS, cleaned, faults_of
from portal.core.text import gettext
from portal.outside.discovery import Metadata, discover, forget_discoveries
from portal.outside.models import Provider
from portal.outside.providers import KnownProvider, place_of, provider_named, terms_of

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.actor import Actor
    from portal.core.provider_terms import ProviderTerms


@dataclass(frozen=True, slots=True)
class Listed:
    """The providers of the console, and those of the settings, which are changed where they stand."""

    made: list[Provider]
    given: list[ProviderTerms]


@needs(Capability.SETTING_MANAGE)
def list_providers(actor: Actor) -> Listed:
    """Every provider, by name."""
    made = db.session.scalars(select(Provider).order_by(Provider.name).limit(MOST_PROVIDERS))
    return Listed(list(made), list(settings.current().oidc_providers))


@needs(Capability.SETTING_MANAGE)
def provider_record(actor: Actor, provider_id: UUID) -> Provider:
    """One provider made here. Raises NotFound."""
    return _found(provider_id)


@needs(Capability.SETTING_MANAGE)
@recently(factor=True)
def create_provider(actor: Actor, terms: ProviderTerms) -> Provider:
    """A new provider, offered at once. Raises Invalid, Conflict."""
    terms = _checked(terms, None)
    if len(list_providers(actor).made) >= MOST_PROVIDERS:
        raise Conflict(gettext("At most %(most)s providers.", most=MOST_PROVIDERS))
    made = Provider(id=new_id(), created_at=clock.now(), sealed_secret="", **_columns(terms))
    made.sealed_secret = _sealed(made.id, terms)
    _store(made)
    record(actor, events.PROVIDER_CREATED, _target(made), {"name": made.name})
    return made


@needs(Capability.SETTING_MANAGE)
@recently(factor=True)
def edit_provider(actor: Actor, provider_id: UUID, terms: ProviderTerms, *, version: int) -> Provider:
    """Change a provider; an empty secret leaves the one it has. Raises NotFound, Conflict, Invalid."""
    made = _found(provider_id)
    if made.version != version:
        raise Conflict(gettext("Someone else changed this provider while you were editing it."))
    if terms.slug != made.slug:
        raise Invalid({"slug": gettext("The provider sends people back to an address with this name, so it stays.")})
    terms = _checked(terms, made)
    columns = _columns(terms)
    changed = sorted(name for name, value in columns.items() if getattr(made, name) != value)
    for name in changed:
        setattr(made, name, columns[name])
    if terms.client_secret and terms.client_secret != terms_of(made).client_secret:
        made.sealed_secret = _sealed(made.id, terms)
        changed.append("client_secret")
    if changed:
        db.session.flush()
        forget_discoveries()
        record(actor, events.PROVIDER_CHANGED, _target(made), {"name": made.name, "changed": changed})
    return made


@needs(Capability.SETTING_MANAGE)
@recently(factor=True)
def enable_provider(actor: Actor, provider_id: UUID, *, enabled: bool) -> Provider:
    """Offer the provider or not. Who has no other way in waits for it, or sets a password by mail. Raises NotFound."""
    made = _found(provider_id)
    if made.enabled != enabled:
        made.enabled = enabled
        record(actor, events.PROVIDER_CHANGED, _target(made), {"name": made.name, "changed": ["enabled"]})
    return made


@needs(Capability.SETTING_MANAGE)
@recently(factor=True)
def delete_provider(actor: Actor, provider_id: UUID) -> None:
    """Remove a provider. What is linked stays: made again with the same issuer, it opens the same accounts.

    Raises NotFound.
    """
    made = _found(provider_id)
    record(actor, events.PROVIDER_DELETED, _target(made), {"name": made.name})
    db.session.delete(made)


@needs(Capability.SETTING_MANAGE)
def try_provider(actor: Actor, provider_id: UUID) -> Metadata:
    """Ask a provider about itself, now. Raises NotFound, and Invalid with what is wrong with its answer."""
    return _tried(KnownProvider(terms_of(_found(provider_id)), trusted=False))


@needs(Capability.SETTING_MANAGE)
def try_given(actor: Actor, slug: str) -> Metadata:
    """The same for a provider of the settings."""
    provider = provider_named(slug)
    if not provider.trusted:
        raise NotFound
    return _tried(provider)


def _tried(provider: KnownProvider) -> Metadata:
    forget_discoveries()
    try:
        return discover(provider)
    except Unreachable as error:
        words = gettext("%(name)s cannot be used: %(why)s", name=provider.terms.name, why=str(error))
        raise Invalid({}, words) from None


def _checked(terms: ProviderTerms, made: Provider | None) -> ProviderTerms:
    wrong = faults_of(terms, plain=not settings.current().production)
    taken = [(one.slug, one.issuer) for one in settings.current().oidc_providers]
    others = db.session.scalars(select(Provider).limit(MOST_PROVIDERS))
    taken += [(one.slug, one.issuer) for one in others if one is not made]
    if "slug" not in wrong and any(slug == terms.slug for slug, _ in taken):
        wrong["slug"] = gettext("Another provider has this name.")
    # Two doors to one house: people known by one would be let in by what the terms of the other say.
    if "issuer" not in wrong and any(issuer == terms.issuer for _, issuer in taken):
        wrong["issuer"] = gettext("Another provider has this issuer.")
    if wrong:
        raise Invalid(wrong)
    return cleaned(terms)


def _columns(terms: ProviderTerms) -> dict[str, object]:
    named = {name: getattr(terms, name) for name in ("slug", "name", "issuer", "client_id", "makes_accounts")}
    return {**named, "scopes": list(terms.scopes), "domains": list(terms.domains)}


def _sealed(provider_id: UUID, terms: ProviderTerms) -> str:
    return crypto.seal({"secret": terms.client_secret}, place=place_of(provider_id))


def _store(made: Provider) -> None:
    try:
        with db.session.begin_nested():
            db.session.add(made)
    except IntegrityError:
        raise Invalid({"slug": gettext("Another provider has this name.")}) from None


def _found(provider_id: UUID) -> Provider:
    made = db.session.get(Provider, provider_id)
    if made is None:
        raise NotFound
    return made


def _target(made: Provider) -> Target:
    return Target("provider", made.id, made.slug)
