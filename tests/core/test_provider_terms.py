"""OIDC_PROVIDERS: what is wrong with it is named, and its secrets are not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from portal.core.provider_terms import web_address_fault
from portal.core.settings import BadSetting, Settings, load

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {"slug": "acme", "name": "Acme", "issuer": "https://acme.example", "client_id": "c", "client_secret": "hidden1"}


def given(folder: Path, text: str, **more: Any) -> Settings:
    """The settings with these providers."""
    return load({"OIDC_PROVIDERS": text}, folder=folder, data_dir=folder, **more)


def test_good_ones_are_read_in_one_form(tmp_path: Path) -> None:
    further = {"scopes": ["email", "openid"], "domains": ["Example.ORG", "bücher.example"], "makes_accounts": True}
    first, second = given(
        tmp_path, json.dumps([{**GOOD, **further}, {**GOOD, "slug": "b", "issuer": "http://localhost:1"}])
    ).oidc_providers
    assert first.scopes == ("openid", "email")
    assert first.domains == ("example.org", "xn--bcher-kva.example")
    assert (first.makes_accounts, second.makes_accounts) == (True, False)
    assert second.scopes == ("openid", "email", "profile")
    assert "hidden1" not in repr(first)
    assert given(tmp_path, "").oidc_providers == []


WRONG: list[tuple[object, str]] = [
    ("nonsense", "a JSON list"),
    ({}, "a JSON list"),
    ([1], "a JSON list"),
    ([{}], "provider 1: slug is missing"),
    ([GOOD, {**GOOD, "issuer": "https://b.example"}], "the same slug"),
    ([GOOD, {**GOOD, "slug": "b"}], "the same issuer"),
    ([{**GOOD, "issuer": 7}], "provider acme: issuer must be a text"),
    ([{**GOOD, "issuer": "acme.example"}], "provider acme: issuer"),
    ([{**GOOD, "issuer": "https://acme.example/?x=1"}], "provider acme: issuer"),
    ([{**GOOD, "issuer": "https://acme.example/.well-known/openid-configuration"}], "well-known"),
    ([{**GOOD, "issuer": "https://a:b@acme.example"}], "provider acme: issuer"),
    ([{**GOOD, "slug": "A"}], "provider 1: slug"),
    ([{**GOOD, "slug": "password"}], "provider password: slug"),
    ([{**GOOD, "slug": "a" * 21}], "slug"),
    ([{**GOOD, "name": ""}], "provider acme: name"),
    ([{**GOOD, "name": "a\u202eb"}], "provider acme: name"),
    ([{**GOOD, "client_id": ""}], "provider acme: client_id"),
    ([{**GOOD, "client_secret": "hidden 1"}], "provider acme: client_secret"),
    ([{**GOOD, "scopes": "email"}], "provider acme: scopes must be a list"),
    ([{**GOOD, "scopes": ['a"b']}], "provider acme: scopes"),
    ([{**GOOD, "domains": ["not a domain"]}], "provider acme: domains"),
    ([{**GOOD, "makes_accounts": "yes"}], "provider acme: makes_accounts must be true or false"),
    ([{**GOOD, "make_accounts": True}], "'make_accounts' is not known"),
    ([{**GOOD, "slug": f"p{n}", "issuer": f"https://p{n}.example"} for n in range(21)], "20 providers at most"),
]


@pytest.mark.parametrize(("written", "words"), WRONG)
def test_a_wrong_one_is_named_without_its_secret(tmp_path: Path, written: object, words: str) -> None:
    with pytest.raises(BadSetting) as caught:
        given(tmp_path, written if isinstance(written, str) else json.dumps(written))
    assert str(caught.value).startswith("OIDC_PROVIDERS: ")
    assert words in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_production_wants_https(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="provider acme: issuer: it must begin with https"):
        given(tmp_path, json.dumps([{**GOOD, "issuer": "http://acme.example"}]), portal_env="production")


@pytest.mark.parametrize("address", ["https://a.example", "https://a.example:8443/realms/x", "https://[2001:db8::1]/"])
def test_a_web_address_is_one(address: str) -> None:
    assert web_address_fault(address, plain=False) is None
