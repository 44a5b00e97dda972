"""The way from a code to a person: the code is exchanged, and the ID token it brings is believed in nothing unchecked.

OpenID Connect Core 1.0, 3.1.3.7; RFC 7515, RFC 7519. Only public-key signatures are taken: with a secret that both
sides know, or none at all, anybody could have signed.
"""

from __future__ import annotations

import base64
import hmac
import json
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import structlog

from portal.core import clock
from portal.core.outgoing import Unreachable
from portal.core.text import BadName, canonical_email
from portal.outside.discovery import fetch_json, keys_of

if TYPE_CHECKING:
    from portal.outside.discovery import Metadata
    from portal.outside.providers import KnownProvider

log = structlog.get_logger()
# Which sort of key each algorithm takes.
ALGORITHMS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    **dict.fromkeys(("EdDSA", "Ed25519"), "OKP"),
}
MOST_TOKEN_BYTES = 32 * 1024
MOST_ANSWER_BYTES = 128 * 1024
LEEWAY_S = 60
LEAST_RSA_BITS, MOST_RSA_BITS = 2048, 8192


class Untrue(Exception):
    """An answer of a provider that is not believed; the text says why, for the log and the record."""


class CodeNotTaken(Untrue):
    """The provider does not know the code, or it was used."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """Somebody a provider vouches for. `email` is "" when it told none that could be one; `verified` says that the
    provider asserts that the address is theirs."""

    issuer: str
    subject: str
    email: str = ""
    verified: bool = False
    name: str = ""
    username: str = ""


def exchange(
    provider: KnownProvider, metadata: Metadata, *, code: str, verifier: str, redirect_uri: str
) -> dict[str, Any]:
    """The tokens for a code (RFC 6749, 4.1.3). Raises Unreachable, CodeNotTaken, Untrue."""
    terms = provider.terms
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    headers = {}
    if terms.client_secret and metadata.basic:
        pair = f"{quote(terms.client_id, safe='')}:{quote(terms.client_secret, safe='')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        form["client_id"] = terms.client_id
        if terms.client_secret:
            form["client_secret"] = terms.client_secret
    try:
        said = fetch_json(provider, metadata.token, form=form, headers=headers, most=MOST_ANSWER_BYTES)
    except Unreachable as error:
        if "status 4" in str(error):
            raise CodeNotTaken(f"the code was not taken: {error}") from None
        raise
    if not isinstance(said.get("id_token"), str):
        raise Untrue("no ID token")
    return said


def claims_of(provider: KnownProvider, token: str, *, nonce: str) -> dict[str, Any]:
    """What an ID token says, once all that can be wrong with it is right. Raises Untrue, Unavailable."""
    claims = _opened(provider, token)
    terms, now = provider.terms, clock.now().timestamp()
    if claims.get("iss") != terms.issuer:
        raise Untrue("iss is another issuer")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or terms.client_id not in audiences:
        raise Untrue("aud is another client")
    if claims.get("azp", terms.client_id) != terms.client_id or (len(audiences) > 1 and "azp" not in claims):
        raise Untrue("azp is another client")
    if _instant(claims, "exp") <= now - LEEWAY_S:
        raise Untrue("exp is over")
    if _instant(claims, "iat") > now + LEEWAY_S or ("nbf" in claims and _instant(claims, "nbf") > now + LEEWAY_S):
        raise Untrue("iat or nbf is to come")
    told = claims.get("nonce")
    if not isinstance(told, str) or not hmac.compare_digest(told.encode("utf-8", "replace"), nonce.encode()):
        raise Untrue("nonce is another one")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or _unshowable(subject):
        raise Untrue("sub is none")
    return claims


def vouched(provider: KnownProvider, metadata: Metadata, claims: dict[str, Any], access_token: object) -> Vouched:
    """The person of checked claims; where these tell no address, the provider is asked for it (Core 1.0, 5.3).

    Raises Untrue.
    """
    if "email" not in claims and metadata.userinfo and isinstance(access_token, str) and access_token.isprintable():
        told = _userinfo(provider, metadata.userinfo, access_token)
        if told and told.get("sub") != claims["sub"]:
            raise Untrue("userinfo is of somebody else")
        claims = {**told, **claims}
    email = claims.get("email")
    try:
        address = email.strip() if isinstance(email, str) and canonical_email(email) else ""
    except BadName:
        address = ""
    return Vouched(
        issuer=provider.terms.issuer,
        subject=claims["sub"],
        email=address,
        # Some providers write it as a text. Nothing but a plain yes is one.
        verified=bool(address) and (claims.get("email_verified") is True or claims.get("email_verified") == "true"),
        name=_line(claims.get("name")),
        username=_line(claims.get("preferred_username")),
    )


def _userinfo(provider: KnownProvider, address: str, access_token: str) -> dict[str, Any]:
    """What the provider tells besides; nothing when it does not answer: who it is, is known without it."""
    headers = {"Authorization": f"Bearer {access_token}"}
    try:
        return fetch_json(provider, address, headers=headers, most=MOST_ANSWER_BYTES)
    except Unreachable as error:
        log.warning("provider.no_userinfo", provider=provider.terms.slug, why=str(error))
        return {}


def check_fresh(claims: dict[str, Any], *, since: float) -> None:
    """That the person showed the provider who they are after `since` (seconds since 1970). Raises Untrue."""
    if _instant(claims, "auth_time") < since - LEEWAY_S:
        raise Untrue("auth_time is from before")


def _opened(provider: KnownProvider, token: str) -> dict[str, Any]:
    """The claims of a token that one of the provider's keys has signed."""
    from joserfc import jwt  # most sign-ins need none of it
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry

    if len(token) > MOST_TOKEN_BYTES:
        raise Untrue("the ID token is too large")
    header = _header_of(token)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise Untrue("an algorithm that is not taken")
    if kid is not None and not isinstance(kid, str):
        raise Untrue("no key id")
    key = _key_for(provider, algorithm, kid)

    class Registry(JWSRegistry):
        """Takes the one algorithm that was looked up above, without warning that others are newer."""

        def get_alg(self, name: str) -> Any:
            if name != algorithm:
                raise Untrue("an algorithm that is not taken")
            return self.algorithms[name]

    registry = Registry(strict_check_header=False)
    try:
        return dict(jwt.decode(token, key, registry=registry).claims)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise Untrue(f"the signature does not hold: {type(error).__name__}") from None


def _header_of(token: str) -> dict[str, Any]:
    try:
        header = json.loads(_decoded(token.partition(".")[0]))
    except (ValueError, RecursionError):
        raise Untrue("not a token") from None
    if not isinstance(header, dict):
        raise Untrue("not a token")
    return header


def _decoded(part: str) -> bytes:
    """URL-safe base64 without padding (RFC 7515, 2). Raises ValueError."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _key_for(provider: KnownProvider, algorithm: str, kid: str | None) -> Any:
    """The provider's key of this id, fetched again when it is not known yet; without an id, the only one that fits."""
    fitting = _fitting(keys_of(provider), algorithm, kid)
    if not fitting:
        fitting = _fitting(keys_of(provider, unknown=kid or ""), algorithm, kid)
    if len(fitting) != 1:
        raise Untrue("no key of the provider's is named" if fitting else "a key that the provider does not have")
    return _loaded(fitting[0])


def _fitting(keys: list[dict[str, Any]], algorithm: str, kid: str | None) -> list[dict[str, Any]]:
    return [
        key
        for key in keys
        if key.get("kty") == ALGORITHMS[algorithm]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
    ]


def _loaded(published: dict[str, Any]) -> Any:
    """A published key for use: nothing of it but its numbers is taken over. Raises Untrue."""
    from joserfc.errors import JoseError  # most sign-ins need none of it
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    kinds: dict[str, tuple[Any, tuple[str, ...]]] = {
        "RSA": (RSAKey, ("n", "e")),
        "EC": (ECKey, ("crv", "x", "y")),
        "OKP": (OKPKey, ("crv", "x")),
    }
    kind, numbers = kinds[published["kty"]]
    try:
        told = {name: str(published[name]) for name in numbers}
        if "n" in told and not LEAST_RSA_BITS <= len(_decoded(told["n"])) * 8 <= MOST_RSA_BITS:
            raise Untrue("a key of another size")
        return kind.import_key({"kty": published["kty"], **told})
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Untrue(f"a key that cannot be read: {type(error).__name__}") from None


def _instant(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        raise Untrue(f"{name} is no instant")
    return value


def _unshowable(text: str) -> bool:
    return any(unicodedata.category(char) in {"Cc", "Cs", "Cn"} for char in text)


def _line(told: object) -> str:
    """A short text for people, without what cannot be shown."""
    if not isinstance(told, str):
        return ""
    kept = "".join(" " if char.isspace() else char for char in told[:300] if char.isspace() or char.isprintable())
    return " ".join(kept.split())[:80].strip()
