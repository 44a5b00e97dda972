"""Access tokens: signed claims (JWT, RFC 7519 and RFC 9068) that others may check by the published key set.

Nothing a token says of itself chooses how it is checked: one algorithm, by the settings; keys only from our folder; no
header beside alg, kid and typ (RFC 8725).
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWS_ALGORITHMS, EdDSAAlgorithm
from joserfc.jws import JWSRegistry

from portal.core import clock, settings
from portal.core.ids import new_id, parse_id
from portal.tokens.signing_keys import checking_keys, signing_key

if TYPE_CHECKING:
    from joserfc.jwa import JWSAlgModel

    from portal.tokens.signing_keys import SigningKey

TYPE = "at+jwt"
HEADERS = {"alg", "kid", "typ"}
MOST_BYTES = 4096
MOST_PROVED = 10_000
LEEWAY_S = 30
ACCOUNT_SCOPE = "account"


class Claims(msgspec.Struct, frozen=True):
    """What a token says. Of an account `sid` is its family; of a service client there is none."""

    iss: str
    aud: str
    sub: str
    kind: str
    scope: str
    iat: int
    nbf: int
    exp: int
    jti: str
    sid: str | None = None
    client_id: str | None = None
    act: dict[str, str] | None = None

    @property
    def subject(self) -> UUID:
        """Whose it is."""
        return UUID(self.sub)


class _QuietEdDSA(EdDSAAlgorithm):
    """The library warns of the name EdDSA for what RFC 9864 calls Ed25519; the contract fixes it (RFC 8037)."""

    security_warning = None  # type: ignore[assignment]  # as of the library's other algorithms


class _Registry(JWSRegistry):
    """Knows our two algorithms and no other."""

    algorithms: ClassVar[dict[str, JWSAlgModel]] = {  # type: ignore[misc]  # the library's own is one for all
        "EdDSA": _QuietEdDSA(),
        "RS256": next(model for model in JWS_ALGORITHMS if model.name == "RS256"),
    }


_decoder = msgspec.json.Decoder(Claims)
# Tokens whose signature was checked, and by which key: to check costs several times what all else of a call does. A key
# that is gone, or was read anew, proves nothing any more.
_proved: dict[str, tuple[SigningKey, Claims]] = {}


def issuer() -> str:
    """Who we are: SITE_URL."""
    return settings.current().site_url


def audience() -> str:
    """For whom our tokens are: this API."""
    return f"{settings.current().site_url}/api/v1"


def make_access_token(
    subject: UUID, *, kind: str, scope: str, family_id: UUID | None = None, client_id: UUID | None = None
) -> str:
    """A signed token for this account or client, good for ACCESS_TOKEN_TTL_S. Raises Unavailable."""
    now, key = clock.seconds(), signing_key()
    claims = Claims(
        iss=issuer(),
        aud=audience(),
        sub=str(subject),
        kind=kind,
        scope=scope,
        iat=now,
        nbf=now,
        exp=now + settings.current().access_token_ttl_s,
        jti=str(new_id()),
        sid=str(family_id) if family_id else None,
        client_id=str(client_id) if client_id else None,
    )
    told = {name: value for name, value in msgspec.structs.asdict(claims).items() if value is not None}
    header = {"alg": key.key.alg, "kid": key.kid, "typ": TYPE}
    registry = _Registry(algorithms=[str(key.key.alg)])
    return jws.serialize_compact(header, msgspec.json.encode(told), key.key, registry=registry)


def read_access_token(text: str) -> Claims | None:
    """The claims of a token of ours that is good now; None for anything else. Raises Unavailable."""
    kept = _proved.get(text)
    if kept is not None and kept[0] in checking_keys():
        return kept[1] if _is_good(kept[1]) else None
    proved = _prove(text)
    if proved is None:
        return None
    if len(_proved) >= MOST_PROVED:
        _proved.clear()
    _proved[text] = proved
    return proved[1] if _is_good(proved[1]) else None


def _prove(text: str) -> tuple[SigningKey, Claims] | None:
    """By which key it was signed, and what it says; however old it is."""
    if len(text) > MOST_BYTES or text.count(".") != 2 or not all(map(_is_canonical, text.split("."))):
        return None
    header = _header_of(text)
    algorithm = settings.current().token_algorithm
    if header is None or set(header) != HEADERS or header["typ"] != TYPE or header["alg"] != algorithm:
        return None
    key = next((one for one in checking_keys() if one.kid == header["kid"]), None)
    if key is None:
        return None
    try:
        found = jws.deserialize_compact(text, key.key, registry=_Registry(algorithms=[algorithm]))
        _check_named_once(found.payload)
        return key, _decoder.decode(found.payload)
    except (JoseError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def _is_good(claims: Claims) -> bool:
    now = clock.seconds()
    return (
        claims.iss == issuer()
        and claims.aud == audience()
        and claims.nbf - LEEWAY_S <= now
        and claims.iat - LEEWAY_S <= now
        and now < claims.exp + LEEWAY_S
        and parse_id(claims.sub) is not None
        and (claims.sid is None or parse_id(claims.sid) is not None)
    )


def _is_canonical(part: str) -> bool:
    """Whether this is the one spelling of its bytes (RFC 4648, 3.5): no padding, no stray signs, no spare bits set."""
    try:
        return base64.urlsafe_b64encode(_bytes_of(part)).rstrip(b"=").decode() == part
    except ValueError:
        return False


def _bytes_of(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _header_of(text: str) -> dict[str, Any] | None:
    try:
        made = _check_named_once(_bytes_of(text.partition(".")[0]))
    except (ValueError, RecursionError):
        return None
    return made if isinstance(made, dict) else None


def _check_named_once(text: bytes) -> Any:
    """JSON in which no member stands twice: what one reader takes from it, every other does (RFC 7515, 4).

    Raises ValueError.
    """
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a member stands there twice")
    return made
