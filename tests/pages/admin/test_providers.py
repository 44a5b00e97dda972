"""/admin/providers: made, tried, changed, switched off, deleted; the secret goes in and never comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.core import clock, crypto
from portal.core.database import db, transaction
from portal.outside.discovery import forget_discoveries
from portal.outside.models import ExternalIdentity, Provider
from portal.outside.providers import place_of
from portal.signin.models import SignInSession
from tests.outside.conftest import Traveller
from tests.outside.liar import Liar, lying
from tests.visitor import SeenPage, Visitor

if TYPE_CHECKING:
    from portal.web.frame import Doorward

SECRET = "never-shown-1"


@pytest.fixture
def liar() -> Iterator[Liar]:
    """A provider that nobody knows yet."""
    forget_discoveries()
    with lying() as provider:
        yield provider


def terms(liar: Liar, **more: Any) -> dict[str, Any]:
    """What is typed."""
    names = {"slug": "acme", "name": "Acme", "issuer": liar.issuer, "client_id": "doorward", "client_secret": SECRET}
    return {**names, "scopes": "openid email", "domains": "example.org\nexample.com", "makes_accounts": "y", **more}


def add(ada: Visitor, liar: Liar, **more: Any) -> SeenPage:
    """Add the provider."""
    page = ada.send(ada.get("/admin/providers/new"), terms(liar, **more))
    assert page.status in {200, 422}
    return page


def made() -> Provider:
    """The one there is."""
    db.session.expire_all()
    return db.session.scalars(select(Provider)).one()


def test_added_tried_used_changed_switched_off_and_deleted(
    app: Doorward, person: Callable[..., Visitor], liar: Liar
) -> None:
    ada = person("ada")
    assert "No providers" in ada.get("/admin/providers").text
    page = add(ada, liar)
    assert "Acme is added" in page.text
    assert SECRET not in page.html
    provider = made()
    assert (provider.domains, provider.scopes) == (["example.org", "example.com"], ["openid", "email"])
    assert crypto.unseal(provider.sealed_secret, place=place_of(provider.id)) == {"secret": SECRET}
    assert page.code("back") == "http://localhost:8000/sign-in/with/acme/back"
    here = f"/admin/providers/{provider.id}"
    assert "It answers as" in ada.send(page, to=f"{here}/try").text
    traveller = Traveller.of(app)
    assert traveller.travel(liar).path == "/account"
    assert liar.exchanges, "the secret that was sealed went to the provider"
    page = ada.send(ada.get(here), {"name": "Acme & Sons", "client_secret": "", "makes_accounts": "y"})
    assert "Saved." in page.text
    assert crypto.unseal(made().sealed_secret, place=place_of(provider.id)) == {"secret": SECRET}
    page = ada.send(ada.get(here), {"client_secret": "another-1", "makes_accounts": "y"})
    assert crypto.unseal(made().sealed_secret, place=place_of(provider.id)) == {"secret": "another-1"}
    assert "Acme &amp; Sons" in Traveller.of(app).get("/sign-in").html
    ada.send(ada.get("/admin/providers"), to=f"{here}/disable")
    assert "Acme" not in Traveller.of(app).get("/sign-in").text
    assert traveller.get("/account").path == "/account", "sessions go on"
    ada.send(ada.get("/admin/providers"), to=f"{here}/enable")
    assert Traveller.of(app).travel(liar).path == "/account"
    assert "is deleted" in ada.send(ada.get(here), to=f"{here}/delete").text
    assert db.session.scalars(select(Provider)).all() == []
    assert len(db.session.scalars(select(ExternalIdentity)).all()) == 1
    told = db.session.scalars(select(AuditEntry).where(AuditEntry.event.startswith("provider."))).all()
    changes = [entry.facts.get("changed") for entry in sorted(told, key=lambda one: one.id)]
    assert changes == [None, ["name"], ["client_secret"], ["enabled"], ["enabled"], None]
    assert SECRET not in str([entry.facts for entry in told])


def test_switched_off_while_somebody_is_on_the_way(app: Doorward, person: Callable[..., Visitor], liar: Liar) -> None:
    ada = person("ada")
    add(ada, liar)
    traveller = Traveller.of(app)
    query = traveller.depart()
    with transaction():
        made().enabled = False
    page = traveller.come_back(code=liar.code_for(query), state=query["state"])
    assert "not offered here any more" in page.text
    with transaction():
        provider = made()
        provider.enabled, provider.issuer = True, "https://elsewhere.example"
    page = traveller.come_back(code=liar.code_for(query), state=query["state"])
    assert "was changed meanwhile" in page.text
    assert len(db.session.scalars(select(SignInSession)).all()) == 1


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"issuer": "javascript:alert(1)"}, "This is not a web address"),
        ({"issuer": ""}, "Type the issuer"),
        ({"slug": "Not Good"}, "1 to 20 small letters"),
        ({"slug": "passkey"}, "another way to sign in"),
        ({"client_id": "a b"}, "without blanks"),
        ({"client_secret": "ä"}, "without blanks"),
        ({"scopes": 'a"b'}, "without quotes"),
        ({"domains": "no domain!"}, "domains such as"),
        ({"name": "a\u202eb"}, "cannot be shown"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(
    person: Callable[..., Visitor], liar: Liar, typed: dict[str, str], words: str
) -> None:
    page = add(person("ada"), liar, **typed)
    assert page.status == 422
    assert words in page.text
    assert SECRET not in page.html
    assert db.session.scalars(select(Provider)).all() == []


def test_two_of_one_name_or_issuer_are_refused(person: Callable[..., Visitor], liar: Liar) -> None:
    ada = person("ada")
    add(ada, liar)
    assert "has this issuer" in add(ada, liar, slug="b").text
    assert "has this name" in add(ada, liar, issuer="https://b.example").text


def test_a_change_over_another_s_is_refused(person: Callable[..., Visitor], liar: Liar) -> None:
    ada = person("ada")
    add(ada, liar)
    page = ada.get(f"/admin/providers/{made().id}")
    with transaction():
        made().name = "Changed"
    late = ada.send(page, {"name": "Late"})
    assert late.status == 422
    assert "Someone else changed" in late.text
    assert made().name == "Changed"
    moved = ada.send(ada.get(f"/admin/providers/{made().id}"), {"slug": "moved"})
    assert "so it stays" in moved.text


def test_one_that_is_none_is_told_when_it_is_tried(person: Callable[..., Visitor], liar: Liar) -> None:
    ada = person("ada")
    page = add(ada, liar)
    liar.metadata = {"issuer": "https://accounts.example"}
    page = ada.send(page, to=f"/admin/providers/{made().id}/try")
    assert "Acme cannot be used: calls itself another issuer" in page.text


def test_it_wants_somebody_who_proved_lately_who_they_are(person: Callable[..., Visitor], liar: Liar) -> None:
    ada = person("ada")
    page = ada.get("/admin/providers/new")
    clock.shift(clock.offset() + timedelta(seconds=601))
    late = ada.send(page, terms(liar), follow=False)
    assert "/account/reauth" in late.response.headers["Location"]
    assert ada.get("/admin/providers/new").path == "/account/reauth"
    assert db.session.scalars(select(Provider)).all() == []
