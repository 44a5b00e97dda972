"""The providers there are: those of OIDC_PROVIDERS, and beside them those made in the console."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.core import crypto, settings
from portal.core.database import db
from portal.core.errors import NotFound
from portal.core.provider_terms import SLUG, ProviderTerms
from portal.core.text import gettext
from portal.outside.models import Provider

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class WayIn:
    """A provider as a button shows it."""

    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """A provider with its secret. `trusted` says that the operator named it in the settings, so that it may lie on an
    inside network; one typed in the console may not."""

    terms: ProviderTerms
    trusted: bool


def place_of(provider_id: UUID) -> str:
    """Where a provider's secret is sealed."""
    return f"providers.sealed_secret:{provider_id}"


def ways_in() -> list[WayIn]:
    """Every provider that is offered to people who sign in, by name. No secret is opened for it."""
    given = {one.slug: WayIn(one.slug, one.name) for one in settings.current().oidc_providers}
    made = select(Provider.slug, Provider.name).where(Provider.enabled).limit(100)
    found = {slug: WayIn(slug, name) for slug, name in db.session.execute(made)} | given
    return sorted(found.values(), key=lambda way: way.name.casefold())


def enabled_issuers() -> set[str]:
    """The issuers whose people may sign in now."""
    made = db.session.scalars(select(Provider.issuer).where(Provider.enabled).limit(100))
    return {*made, *(one.issuer for one in settings.current().oidc_providers)}


def provider_named(slug: str) -> KnownProvider:
    """An enabled provider, to go to. Where both are called so, the one of the settings. Raises NotFound."""
    for given in settings.current().oidc_providers:
        if given.slug == slug:
            return KnownProvider(given, trusted=True)
    enabled = select(Provider).where(Provider.slug == slug, Provider.enabled)
    # What can be no name is asked of no database: PostgreSQL takes no NUL.
    made = db.session.scalars(enabled).first() if SLUG.fullmatch(slug) else None
    if made is None:
        raise NotFound(gettext("This sign-in provider is not offered here any more."))
    return KnownProvider(terms_of(made), trusted=False)


def terms_of(made: Provider) -> ProviderTerms:
    """The terms of a provider made in the console, its secret opened. Raises BadSeal."""
    return ProviderTerms(
        slug=made.slug,
        name=made.name,
        issuer=made.issuer,
        client_id=made.client_id,
        client_secret=crypto.unseal(made.sealed_secret, place=place_of(made.id))["secret"],
        scopes=tuple(made.scopes),
        domains=tuple(made.domains),
        makes_accounts=made.makes_accounts,
    )
