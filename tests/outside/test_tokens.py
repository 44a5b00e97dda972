"""ID tokens: an honest one lets somebody in, and each lie there is about one lets nobody in."""

from __future__ import annotations

import hmac
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwk, jws
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.audit.models import AuditEntry
from portal.core import clock
from portal.core.database import db
from portal.outside.models import ExternalIdentity
from portal.signin.models import SignInSession
from tests.outside.conftest import Traveller
from tests.outside.liar import CLIENT_ID, Liar, b64, key_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.web.frame import Doorward

# What the tests sign with is what we warn of: too small a key, a public key as a secret.
pytestmark = pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
REFUSED = "not one to believe"


def rows(table: Any) -> int:
    """How many there are."""
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def refused(traveller: Traveller, liar: Liar) -> None:
    """One who goes there and back is refused, and nothing is left but an entry that says so."""
    page = traveller.travel(liar)
    assert page.path == "/sign-in"
    assert REFUSED in page.text
    assert [rows(table) for table in (Account, ExternalIdentity, SignInSession)] == [0, 0, 0]
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.event == "sign_in.failed")).one()
    assert (entry.facts, entry.result) == ({"why": "provider"}, "refused")


def now() -> int:
    """Seconds since 1970."""
    return int(clock.now().timestamp())


CLAIMS: dict[str, Callable[[Liar], dict[str, Any]]] = {
    "nonce missing": lambda _: {"nonce": None},
    "nonce of nobody": lambda _: {"nonce": "n"},
    "nonce not a text": lambda _: {"nonce": ["n"]},
    "nonce beyond ASCII": lambda _: {"nonce": "ü\ud800"},
    "aud another": lambda _: {"aud": "somebody-else"},
    "aud missing": lambda _: {"aud": None},
    "aud begins alike": lambda _: {"aud": CLIENT_ID + "2"},
    "aud a list without us": lambda _: {"aud": ["a", "b"]},
    "aud an object": lambda _: {"aud": {CLIENT_ID: 1}},
    "aud of two and no azp": lambda _: {"aud": [CLIENT_ID, "other"]},
    "azp another": lambda _: {"azp": "other"},
    "azp another of two": lambda _: {"aud": [CLIENT_ID, "other"], "azp": "other"},
    "iss another": lambda _: {"iss": "https://accounts.example"},
    "iss missing": lambda _: {"iss": None},
    "iss with a slash more": lambda liar: {"iss": f"{liar.issuer}/"},
    "exp over": lambda _: {"exp": now() - 61},
    "exp missing": lambda _: {"exp": None},
    "exp a text": lambda _: {"exp": "9999999999"},
    "exp true": lambda _: {"exp": True},
    "exp beyond numbers": lambda _: {"exp": 1e400},
    "iat to come": lambda _: {"iat": now() + 90},
    "iat missing": lambda _: {"iat": None},
    "nbf to come": lambda _: {"nbf": now() + 90},
    "sub missing": lambda _: {"sub": None},
    "sub empty": lambda _: {"sub": ""},
    "sub a number": lambda _: {"sub": 7},
    "sub of 300 characters": lambda _: {"sub": "s" * 300},
    "sub with a zero byte": lambda _: {"sub": "a\0b"},
}


@pytest.mark.parametrize("lie", CLAIMS)
def test_a_token_that_says_something_else_is_refused(traveller: Traveller, liar: Liar, lie: str) -> None:
    liar.claims = CLAIMS[lie](liar)
    refused(traveller, liar)


@pytest.mark.parametrize(
    "said",
    [
        {"aud": [CLIENT_ID]},
        {"aud": [CLIENT_ID, "other"], "azp": CLIENT_ID},
        {"sub": "s" * 255},
        {"sub": "Ünïcode|7"},
        {"nbf": 0},
    ],
)
def test_what_the_rules_allow_is_taken(traveller: Traveller, liar: Liar, said: dict[str, Any]) -> None:
    liar.claims = said
    assert traveller.travel(liar).path == "/account"


@pytest.mark.parametrize(("ago", "good"), [(55, True), (61, False)])
def test_clocks_may_differ_by_a_minute(traveller: Traveller, liar: Liar, ago: int, good: bool) -> None:
    liar.claims = {"exp": lambda instant: instant - ago, "iat": lambda instant: instant - 300}
    assert (traveller.travel(liar).path == "/account") is good


def test_the_nonce_of_another_trip_is_refused(app: Doorward, liar: Liar) -> None:
    earlier = Traveller.of(app).depart()
    liar.claims = {"nonce": earlier["nonce"]}
    refused(Traveller.of(app), liar)


def unsigned(claims: dict[str, Any]) -> str:
    """A token that nobody signed."""
    return f"{b64(json.dumps({'alg': 'none'}).encode())}.{b64(json.dumps(claims).encode())}."


def signed_with_what_is_published(claims: dict[str, Any]) -> str:
    """A token signed with the public key as if it were a secret of both."""
    head = b64(json.dumps({"alg": "HS256", "kid": "first"}).encode())
    body = b64(json.dumps(claims).encode())
    secret = key_named("first").as_pem(private=False)
    return f"{head}.{body}.{b64(hmac.digest(secret, f'{head}.{body}'.encode(), 'sha256'))}"


def signed_with_the_client_s_secret(claims: dict[str, Any]) -> str:
    """A token signed with the secret that the provider and we know."""
    secret = jwk.OctKey.import_key("kept-between-the-two")
    return jws.serialize_compact({"alg": "HS256"}, json.dumps(claims), secret, algorithms=["HS256"])


def signed_by_a_stranger(claims: dict[str, Any]) -> str:
    """A token with the name of the provider's key and the signature of another."""
    return jws.serialize_compact({"alg": "RS256", "kid": "first"}, json.dumps(claims), key_named("stranger"))


def with_its_own_key(claims: dict[str, Any]) -> str:
    """A token that brings the key to check it by."""
    stranger = key_named("stranger")
    header = {"alg": "RS256", "kid": "first", "jwk": stranger.as_dict(private=False)}
    return jws.serialize_compact(header, json.dumps(claims), stranger)


def changed_afterwards(claims: dict[str, Any]) -> str:
    """A token whose claims were exchanged after it was signed."""
    head, _, signature = jws.serialize_compact(
        {"alg": "RS256", "kid": "first"}, json.dumps(claims), key_named("first")
    ).split(".")
    return f"{head}.{b64(json.dumps({**claims, 'sub': 'another'}).encode())}.{signature}"


def with_something_critical(claims: dict[str, Any]) -> str:
    """A token that wants to be understood in a way we do not know (RFC 7515, 4.1.11)."""
    head = b64(json.dumps({"alg": "RS256", "kid": "first", "crit": ["moon"], "moon": 1}).encode())
    body = b64(json.dumps(claims).encode())
    key = key_named("first").private_key
    return f"{head}.{body}.{b64(key.sign(f'{head}.{body}'.encode(), PKCS1v15(), SHA256()))}"


FORGERIES: dict[str, Callable[[dict[str, Any]], str]] = {
    "alg none": unsigned,
    "HS256 with the public key": signed_with_what_is_published,
    "HS256 with the client's secret": signed_with_the_client_s_secret,
    "signed by a stranger": signed_by_a_stranger,
    "brings its own key": with_its_own_key,
    "changed afterwards": changed_afterwards,
    "something critical": with_something_critical,
    "empty": lambda _: "",
    "two parts": lambda _: "e30.e30",
    "no base64": lambda _: "ä.ö.ü",
    "header a list": lambda _: f"{b64(b'[]')}.e30.e30",
    "alg a list": lambda _: f"{b64(json.dumps({'alg': ['RS256']}).encode())}.e30.e30",
    "kid a number": lambda _: f"{b64(json.dumps({'alg': 'RS256', 'kid': 1}).encode())}.e30.e30",
    "nested without end": lambda _: f"{b64(b'[' * 9000)}.e30.e30",
    "too large": lambda _: "a" * 40_000,
    "claims a list": lambda _: jws.serialize_compact({"alg": "RS256", "kid": "first"}, "[]", key_named("first")),
    "claims no JSON": lambda _: jws.serialize_compact({"alg": "RS256", "kid": "first"}, "x", key_named("first")),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_is_refused(traveller: Traveller, liar: Liar, forgery: str) -> None:
    liar.forge = FORGERIES[forgery]
    refused(traveller, liar)


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("RS256", "RSA"), ("RS512", "RSA"), ("PS256", "RSA"), ("ES256", "EC"), ("EdDSA", "OKP"), ("Ed25519", "OKP")],
)
def test_every_algorithm_of_the_list_is_taken(traveller: Traveller, liar: Liar, algorithm: str, kind: str) -> None:
    liar.algorithm, liar.signer, liar.published = algorithm, f"a {kind} key", [f"a {kind} key"]
    liar.kinds = {liar.signer: kind}
    assert traveller.travel(liar).path == "/account"


def test_a_key_too_small_is_refused(traveller: Traveller, liar: Liar) -> None:
    small = jwk.RSAKey.generate_key(1024, {"kid": "small"})
    liar.answers["/keys"] = (200, {}, json.dumps({"keys": [small.as_dict(private=False)]}).encode())
    liar.forge = lambda claims: jws.serialize_compact({"alg": "RS256", "kid": "small"}, json.dumps(claims), small)
    refused(traveller, liar)


def test_a_key_for_another_use_is_refused(traveller: Traveller, liar: Liar) -> None:
    for lie in ({"use": "enc"}, {"alg": "PS256"}, {"n": "!"}, {"e": None}):
        published = {**key_named("first").as_dict(private=False), "use": "sig", **lie}
        liar.answers["/keys"] = (200, {}, json.dumps({"keys": [published, "x", {}]}).encode())
        clock.shift(clock.offset() + timedelta(hours=2))
        assert REFUSED in traveller.travel(liar).text, lie
    assert rows(Account) == 0


def test_without_a_key_id_the_only_key_is_meant(app: Doorward, liar: Liar) -> None:
    liar.header = {"kid": None}
    assert Traveller.of(app).travel(liar).path == "/account"
    liar.published = ["first", "second"]
    clock.shift(clock.offset() + timedelta(hours=2))
    assert REFUSED in Traveller.of(app).travel(liar).text


def test_a_new_key_is_fetched_at_most_once_a_minute(app: Doorward, liar: Liar) -> None:
    assert Traveller.of(app).travel(liar).path == "/account"
    clock.shift(clock.offset() + timedelta(seconds=61))
    liar.signer, liar.published = "second", ["second"]  # rotated
    assert Traveller.of(app).travel(liar).path == "/account"
    assert liar.asked.count("/keys") == 2
    liar.signer = "stranger"  # which is published nowhere
    for _ in range(5):
        assert REFUSED in Traveller.of(app).travel(liar).text
    assert liar.asked.count("/keys") == 2
    clock.shift(clock.offset() + timedelta(seconds=61))
    for _ in range(5):
        assert REFUSED in Traveller.of(app).travel(liar).text
    assert liar.asked.count("/keys") == 3


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"nonsense", b'{"id_token": 7}', b'{"id_token": null}', b"\xff"])
def test_an_answer_without_a_token_is_no_fault_of_ours(traveller: Traveller, liar: Liar, body: bytes) -> None:
    liar.answers["/token"] = (200, {}, body)
    page = traveller.travel(liar)
    assert page.path == "/sign-in"
    assert REFUSED in page.text or "does not answer just now" in page.text
    assert rows(Account) == 0


@pytest.mark.parametrize(
    ("name", "shown"), [("A\u202eB\0C\nD", "ABC D"), ("x" * 500, "x" * 80), (["x"], ""), ("  ", "")]
)
def test_a_name_is_cleaned_before_it_is_anybody_s(traveller: Traveller, liar: Liar, name: object, shown: str) -> None:
    liar.claims = {"name": name}
    assert traveller.travel(liar).path == "/account"
    assert db.session.scalars(select(Account.display_name)).one() == shown


def test_what_the_token_leaves_out_is_asked_for(app: Doorward, liar: Liar) -> None:
    liar.claims = {"email": None, "email_verified": None}
    liar.userinfo = {"sub": "subject-1", "email": "carol@example.org", "email_verified": True}
    assert Traveller.of(app).travel(liar).path == "/account"
    account = db.session.scalars(select(Account)).one()
    assert account.email_verified_at is not None
    liar.claims["sub"], liar.userinfo["sub"] = "subject-2", "subject-1"  # userinfo of somebody else
    assert REFUSED in Traveller.of(app).travel(liar).text


def test_the_secret_goes_where_the_provider_takes_it(app: Doorward, liar: Liar) -> None:
    liar.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert Traveller.of(app).travel(liar).path == "/account"
    assert liar.exchanges[-1]["client_secret"] == "kept-between-the-two"
