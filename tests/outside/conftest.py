"""A provider that can lie, known to the application by its settings, and a person on the way there and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from portal.outside.discovery import forget_discoveries
from tests.outside.liar import CLIENT_ID, CLIENT_SECRET, Liar, lying
from tests.visitor import SeenPage, Visitor

if TYPE_CHECKING:
    from portal.web.frame import Doorward


@pytest.fixture
def liar() -> Iterator[Liar]:
    """The provider `acme`."""
    forget_discoveries()
    with lying() as provider:
        yield provider


@pytest.fixture
def other() -> Iterator[Liar]:
    """The provider `other`, a real one besides."""
    with lying() as provider:
        yield provider


@pytest.fixture
def terms() -> dict[str, Any]:
    """Further terms of `acme`, by `@pytest.mark.parametrize("terms", [{…}])`."""
    return {}


@pytest.fixture
def more() -> dict[str, Any]:
    """Further settings, by `@pytest.mark.parametrize("more", [{…}])`."""
    return {}


def listed(liar: Liar, slug: str, **terms: Any) -> dict[str, Any]:
    """A provider as OIDC_PROVIDERS names it."""
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET.replace(" ", "-")}
    return {"slug": slug, "name": slug.capitalize(), "issuer": liar.issuer, **client, "makes_accounts": True, **terms}


@pytest.fixture
def setting(liar: Liar, other: Liar, terms: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Both providers, in the settings."""
    return {"oidc_providers": json.dumps([listed(liar, "acme", **terms), listed(other, "other")]), **more}


class Traveller(Visitor):
    """A browser on the way to a provider and back."""

    @classmethod
    def of(cls, app: Doorward) -> Traveller:
        """One more browser."""
        return cls(app.test_client())

    def depart(self, slug: str = "acme", *, target: str = "") -> dict[str, str]:
        """Press the button on the sign-in page; answers what the provider is asked."""
        page = self.get("/sign-in" + (f"?next={target}" if target else ""))
        return asked_of(self.send(page, to=f"/sign-in/with/{slug}"))

    def come_back(self, slug: str = "acme", *, follow: bool = True, **brought: Any) -> SeenPage:
        """Be sent back by the provider."""
        return self.get(f"/sign-in/with/{slug}/back?{urlencode(brought)}", follow=follow)

    def travel(self, liar: Liar, slug: str = "acme", *, target: str = "", follow: bool = True) -> SeenPage:
        """The whole way, with somebody who signs in at the provider."""
        query = self.depart(slug, target=target)
        return self.come_back(slug, code=liar.code_for(query), state=query["state"], follow=follow)

    def is_in(self) -> bool:
        """Whether this browser is signed in."""
        return (
            self.get("/account", follow=False).status != 302
            or "/sign-in" not in (self.get("/account", follow=False).response.headers["Location"])
        )


def asked_of(page: SeenPage) -> dict[str, str]:
    """What the provider is asked by the page that leads there."""
    assert page.status == 200, page.text
    links = [link for link in page.links() if "code_challenge" in link]
    assert len(links) == 1, page.html
    refresh = [meta.get("content") for meta in page.tree.iter("meta") if meta.get("http-equiv") == "refresh"]
    assert refresh == [f"0; url={links[0]}"]
    return {name: values[0] for name, values in parse_qs(urlsplit(links[0]).query).items()}


@pytest.fixture
def traveller(app: Doorward) -> Traveller:
    """Somebody with a browser, not signed in."""
    return Traveller.of(app)
