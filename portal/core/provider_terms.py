"""What an outside sign-in provider is known by, and what of it is refused: one rule for setting and console."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from portal.core.text import BadName, canonical_email, clean_line, gettext

SLUG = re.compile(r"[a-z][a-z0-9-]{0,19}")
# How one comes in otherwise: the audit log tells ways in by these words.
TAKEN_SLUGS = {"password", "passkey", "authenticator", "recovery-code", "recovery", "registration", "reset", "factor"}
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")
DEFAULT_SCOPES = ("openid", "email", "profile")
MOST_PROVIDERS = 20
KEYS = {"slug", "name", "issuer", "client_id", "client_secret", "scopes", "domains", "makes_accounts"}


@dataclass(frozen=True, slots=True)
class ProviderTerms:
    """A provider of OpenID Connect. `slug` names it in addresses, `name` on buttons; `issuer` is its address as it
    writes it itself. `makes_accounts`: people who have no account get one, those of `domains` only where any are given.
    """

    slug: str
    name: str
    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    domains: tuple[str, ...] = ()
    makes_accounts: bool = False


def web_address_fault(address: str, *, plain: bool) -> str | None:
    """Why this is no address that may be asked, in words; None when it is. `plain` lets http:// pass."""
    if len(address) > 500 or not address.isascii() or any(ord(char) < 33 or char in '"<>\\^`{|}' for char in address):
        return gettext("This is not a web address.")
    try:
        parts = urlsplit(address)
        known = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return gettext("This is not a web address.")
    if not known or parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        return gettext("This is not a web address.")
    if parts.scheme == "http" and not plain:
        return gettext("It must begin with https://.")
    return None


def _issuer_fault(issuer: str, *, plain: bool) -> str | None:
    fault = web_address_fault(issuer, plain=plain)
    if fault is None and ("?" in issuer or "#" in issuer):
        return gettext("This is not a web address.")
    if fault is None and "/.well-known/" in issuer:
        return gettext("Leave out everything from /.well-known/ on: that is found by itself.")
    return fault


def faults_of(terms: ProviderTerms, *, plain: bool) -> dict[str, str]:
    """Everything that is wrong, by field, in words. `plain` lets http:// pass, as in development."""
    wrong: dict[str, str] = {}
    if not SLUG.fullmatch(terms.slug):
        wrong["slug"] = gettext("1 to 20 small letters, digits and hyphens, beginning with a letter.")
    elif terms.slug in TAKEN_SLUGS:
        wrong["slug"] = gettext("This word means another way to sign in. Choose another.")
    try:
        if not clean_line(terms.name):
            wrong["name"] = gettext("Give the provider a name.")
    except BadName as error:
        wrong["name"] = str(error)
    if fault := _issuer_fault(terms.issuer, plain=plain):
        wrong["issuer"] = fault
    for name, text, most in (("client_id", terms.client_id, 200), ("client_secret", terms.client_secret, 500)):
        if len(text) > most or any(not 32 < ord(char) < 127 for char in text) or (name == "client_id" and not text):
            wrong[name] = gettext("1 to %(most)s characters without blanks, as the provider shows it.", most=most)
    if len(terms.scopes) > 20 or not all(SCOPE.fullmatch(scope) for scope in terms.scopes):
        wrong["scopes"] = gettext("At most 20 words without quotes.")
    if len(terms.domains) > 50 or any(_domain(domain) is None for domain in terms.domains):
        wrong["domains"] = gettext("At most 50 domains such as example.org.")
    return wrong


def _domain(typed: str) -> str | None:
    try:
        return canonical_email(f"anybody@{typed}").rpartition("@")[2]
    except BadName:
        return None


def cleaned(terms: ProviderTerms) -> ProviderTerms:
    """The same in the form in which it is compared; of terms without faults."""
    scopes = dict.fromkeys(("openid", *(terms.scopes or DEFAULT_SCOPES)))
    domains = dict.fromkeys(domain for typed in terms.domains if (domain := _domain(typed)))
    return replace(terms, name=clean_line(terms.name), scopes=tuple(scopes), domains=tuple(domains))


def read_providers(text: str, *, plain: bool) -> list[ProviderTerms]:
    """The providers of OIDC_PROVIDERS: a JSON list of objects. Raises ValueError, naming the one that is wrong and
    never saying its secret."""
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON list of providers, each an object") from None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ValueError("must be a JSON list of providers, each an object")
    if len(listed) > MOST_PROVIDERS:
        raise ValueError(f"may hold {MOST_PROVIDERS} providers at most")
    found = [_read_one(one, f"provider {at}", plain=plain) for at, one in enumerate(listed, 1)]
    for name in ("slug", "issuer"):
        values = [getattr(one, name) for one in found]
        if len(values) != len(set(values)):
            raise ValueError(f"two providers have the same {name}")
    return found


def _read_one(given: dict[str, Any], which: str, *, plain: bool) -> ProviderTerms:
    if isinstance(given.get("slug"), str) and SLUG.fullmatch(given["slug"]):
        which = f"provider {given['slug']}"
    if unknown := sorted(set(given) - KEYS):
        raise ValueError(f"{which}: {unknown[0][:40]!r} is not known; known are {', '.join(sorted(KEYS))}")
    for name in ("slug", "name", "issuer", "client_id"):
        if name not in given:
            raise ValueError(f"{which}: {name} is missing")
    for name, value in given.items():
        if name in {"scopes", "domains"}:
            fine = isinstance(value, list) and all(isinstance(part, str) for part in value)
        else:
            fine = isinstance(value, bool if name == "makes_accounts" else str)
        if not fine:
            kind = {"scopes": "a list of texts", "domains": "a list of texts", "makes_accounts": "true or false"}
            raise ValueError(f"{which}: {name} must be {kind.get(name, 'a text')}")
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    terms = ProviderTerms(**values)
    if wrong := faults_of(terms, plain=plain):
        name, words = next(iter(wrong.items()))
        raise ValueError(f"{which}: {name}: {words[0].lower()}{words[1:]}")
    return cleaned(terms)
