"""Tokens that are not ours, made with all that anybody could know, and some with more: the signing key itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from portal.core import clock
from portal.core.ids import new_id
from portal.tokens.access_tokens import audience, issuer
from portal.tokens.signing_keys import signing_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portal.tokens.access_tokens import Claims

NONES: tuple[Any, ...] = ("none", "None", "NONE", "nOnE", "", None)
KIDS: tuple[Any, ...] = (
    "../../../../dev/null", "/dev/null", "' UNION SELECT 'x", "https://example.org/key", "", None, 0, [], ["x"], {},
    "x" * 2000, "\x00",
)  # fmt: skip
ALGORITHMS: tuple[Any, ...] = (
    "ES256", "PS256", "RS256", "Ed25519", "eddsa", "EDDSA", "HS512", ["EdDSA"], {"EdDSA": 1}, 1,
)  # fmt: skip


def part(value: bytes | dict[str, Any] | str) -> str:
    """One part of a token."""
    raw = value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Forger:
    """Makes tokens like a good one."""

    def __init__(self, good: Claims) -> None:
        found = signing_key()
        key = load_pem_private_key(found.path.read_bytes(), None)
        assert isinstance(key, Ed25519PrivateKey)
        self.key, self.public = key, found.key.as_pem(private=False)
        self.header = {"alg": "EdDSA", "kid": found.kid, "typ": "at+jwt"}
        told = msgspec.structs.asdict(good)
        self.claims = {name: value for name, value in told.items() if value is not None}

    def signed(self, header: Any = None, claims: Any = None) -> str:
        """A token signed by the very key of the server."""
        said = f"{part(header or self.header)}.{part(claims or self.claims)}"
        return f"{said}.{part(self.key.sign(said.encode()))}"

    def saying(self, **claims: Any) -> str:
        """The same, saying something else."""
        return self.signed(claims={**self.claims, **claims})

    def without(self, name: str) -> str:
        """The same, without a claim."""
        return self.signed(claims={other: value for other, value in self.claims.items() if other != name})

    def of_strangers(self) -> Iterator[tuple[str, str]]:
        """What whoever knows the public key and a good token can make: (what it is, token)."""
        good = self.signed()
        head, body, mark = good.split(".")
        raised = part({**self.claims, "sub": str(new_id()), "kind": "admin"})
        for name in NONES:
            for tail in ("", mark):
                yield f"alg {name!r}", f"{part({**self.header, 'alg': name})}.{body}.{tail}"
                yield f"alg {name!r} alone", f"{part({'alg': name})}.{body}.{tail}"
        yield "no signature", f"{head}.{body}."
        yield "no signature part", f"{head}.{body}"
        yield "other claims", f"{head}.{raised}.{mark}"
        for secret in (self.public, self.public.strip(), base64.b64decode(part(self.public) + "==")):
            said = f"{part({**self.header, 'alg': 'HS256'})}.{body}"
            yield "HS256 by the public key", f"{said}.{part(hmac.digest(secret, said.encode(), hashlib.sha256))}"
        own_rsa = rsa.generate_private_key(65537, 2048)
        said = f"{part({**self.header, 'alg': 'RS256'})}.{body}"
        yield "RS256", f"{said}.{part(own_rsa.sign(said.encode(), padding.PKCS1v15(), SHA256()))}"
        own = Ed25519PrivateKey.generate()
        yield "another key", f"{head}.{body}.{part(own.sign(f'{head}.{body}'.encode()))}"
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": part(own.public_key().public_bytes_raw())}
        for name, value in {"jwk": jwk, "jku": "https://example.org/jwks.json", "x5u": "https://example.org/x.pem",
                            "x5c": ["MIIB"]}.items():  # fmt: skip
            said = f"{part({**self.header, name: value})}.{body}"
            yield name, f"{said}.{part(own.sign(said.encode()))}"
        for kid in KIDS:
            said = f"{part({**self.header, 'kid': kid})}.{body}"
            yield f"kid {str(kid)[:20]!r}", f"{said}.{part(own.sign(said.encode()))}"
        for algorithm in ALGORITHMS:
            yield f"alg {algorithm}", f"{part({**self.header, 'alg': algorithm})}.{body}.{mark}"
        last = good[-1]
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        spare = letters[letters.index(last) ^ 1]
        yield "spare bits", good[:-1] + spare
        for words in (good + "=", good + "==", good + "\n", good[:10] + "\n" + good[10:], good + ".", "." + good,
                      good + "A", good[:-1], good.swapcase(), good.replace(".", ".."), f"{head}=.{body}.{mark}",
                      f"{good}.{mark}", f"{good} {good}", good + "é", "é" + good):  # fmt: skip
            yield "another spelling", words
        for words in ("null", "[]", '"x"', "1", "{", "[" * 3000, '{"alg": 1e400}', "?"):
            yield f"header {words[:9]}", f"{part(words)}.{body}.{mark}"
        yield "one megabyte", f"{head}.{body * (1_000_000 // len(body))}.{mark}"
        yield "a megabyte of points", "." * 1_000_000

    def of_the_key(self) -> Iterator[tuple[str, str]]:
        """What only whoever has the signing key could make, and is refused all the same."""
        now = clock.seconds()
        for name in ("iss", "aud", "sub", "kind", "scope", "iat", "nbf", "exp", "jti", "sid"):
            yield f"no {name}", self.without(name)
            yield f"{name} null", self.saying(**{name: None})
        for exp in (now - 31, 0, -1, float(now + 600), str(now + 600), True, [now + 600], now - 10**30):
            yield f"exp {exp}", self.saying(exp=exp)
        text = json.dumps(self.claims)
        for odd in ("1e400", "NaN", "Infinity", "1e10"):
            yield f"exp {odd}", self.signed(claims=text.replace(f'"exp": {self.claims["exp"]}', f'"exp": {odd}'))
        yield "nbf later", self.saying(nbf=now + 60)
        yield "iat later", self.saying(iat=now + 60)
        for iss in (issuer() + "/", issuer().upper(), "https://second.example.org", "", [issuer()]):
            yield f"iss {iss}", self.saying(iss=iss)
        for aud in (issuer(), audience() + "/", [audience()], [audience(), "x"], "*", ""):
            yield f"aud {aud}", self.saying(aud=aud)
        yield "all of a second deployment", self.saying(iss="https://b.example.org", aud="https://b.example.org/api/v1")
        for sub in ("", "x", str(new_id()), "' OR 1=1 --", "\x00"):
            yield f"sub {sub!r}", self.saying(sub=sub)
        for sid in ("", "x", str(new_id()), "\x00"):
            yield f"sid {sid!r}", self.saying(sid=sid)
        yield "an account as a client", self.saying(kind="client")
        yield "scopes of a client", self.saying(scope="keys:verify users:read")
        yield "a claim twice", self.signed(claims=text[:-1] + f', "exp": {now + 600}}}')
        yield "not an object", self.signed(claims="[]")
        yield "not of UTF-8", self.signed(claims=text.encode("utf-16"))
        yield "with a mark of order", self.signed(claims=b"\xef\xbb\xbf" + text.encode())
        for typ in ("JWT", "jwt", "at+JWT", "application/at+jwt", "dpop+jwt", "logout+jwt", "", None, ["at+jwt"]):
            yield f"typ {typ}", self.signed({**self.header, "typ": typ})
        for name in ("alg", "kid", "typ"):
            yield f"no {name}", self.signed({other: value for other, value in self.header.items() if other != name})
        for name, value in {"crit": ["exp"], "b64": False, "zip": "DEF", "cty": "JWT", "jku": "x", "x5c": []}.items():
            yield name, self.signed({**self.header, name: value})
        yield "crit of b64", self.signed({**self.header, "crit": ["b64"], "b64": False})
        yield "a header twice", self.signed(json.dumps(self.header)[:-1] + ', "alg": "EdDSA"}')
