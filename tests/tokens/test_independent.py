"""Programs that others wrote get tokens here, use them and give them back; libraries of others check them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet
from oauthlib.oauth2 import BackendApplicationClient, InvalidGrantError, LegacyApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from portal.clients.service import create_client
from portal.core.access import operator_actor
from portal.core.database import transaction
from tests.people import PASSWORD, make_account

if TYPE_CHECKING:
    from portal.web.frame import Doorward
    from tests.servers import Server


def checked(token: str, told: dict[str, Any]) -> dict[str, Any]:
    """The claims of a token by what the metadata tells, as two libraries read it."""
    audience = f"{told['issuer']}/api/v1"
    key = jwt.PyJWKClient(told["jwks_uri"]).get_signing_key_from_jwt(token)
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=["EdDSA"],
        audience=audience,
        issuer=told["issuer"],
        options={"require": ["exp", "iat", "nbf", "sub", "aud", "iss", "jti"]},
    )
    keys = KeySet.import_key_set(requests.get(told["jwks_uri"], timeout=30).json())
    read = joserfc_jwt.decode(token, keys, algorithms=["EdDSA"])
    joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": told["issuer"]}, aud={"essential": True, "value": audience}
    ).validate(read.claims)
    assert read.claims == claims
    assert read.header["typ"] == "at+jwt"
    return claims


@pytest.mark.filterwarnings("ignore")  # of the libraries, about names of algorithms
def test_requests_oauthlib_and_authlib_walk_through(
    app: Doorward, served: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    alice, _ = make_account("alice"), make_account("ada")
    with transaction():
        gate, secret = create_client(operator_actor(), name="gate", scopes=["tokens:introspect", "status:read"])
    gate_id = str(gate.id)
    told = requests.get(f"{served.url}/.well-known/oauth-authorization-server", timeout=30).json()
    assert told["issuer"] == served.url

    # A first-party program with requests-oauthlib: password, use, refresh.
    program = OAuth2Session(client=LegacyApplicationClient(client_id="app"))
    tokens = program.fetch_token(told["token_endpoint"], username="alice", password=PASSWORD)
    claims = checked(tokens["access_token"], told)
    assert (claims["sub"], claims["kind"], claims["scope"]) == (str(alice.id), "user", "account")
    assert claims["exp"] - claims["iat"] == tokens["expires_in"] == 900
    with pytest.raises(InvalidGrantError):
        program.fetch_token(told["token_endpoint"], username="alice", password="wrong")
    renewed = program.refresh_token(told["token_endpoint"], refresh_token=tokens["refresh_token"])
    assert renewed["refresh_token"] != tokens["refresh_token"]
    assert program.get(f"{served.url}/api/v1/audit", timeout=30).status_code == 403

    # A service client with it, and with the other one: its id and its token, in the header and in the form.
    service = OAuth2Session(client=BackendApplicationClient(client_id=gate_id))
    got = service.fetch_token(told["token_endpoint"], auth=HTTPBasicAuth(gate_id, secret), scope=["status:read"])
    assert got["scope"] == ["status:read"]
    assert checked(got["access_token"], told)["sub"] == gate_id
    assert service.get(f"{served.url}/api/v1/status-checks", timeout=30).status_code == 200
    for way in ("client_secret_basic", "client_secret_post"):
        other = AuthlibSession(gate_id, secret, token_endpoint_auth_method=way)
        got = other.fetch_token(told["token_endpoint"], grant_type="client_credentials")
        assert got["scope"].split() == ["status:read", "tokens:introspect"]
        assert other.get(f"{served.url}/api/v1/status-checks").status_code == 200

    # A program with Authlib: password and refresh; the service client asks what its tokens are worth; it ends them.
    person = AuthlibSession("app", token_endpoint_auth_method="none")
    first = dict(person.fetch_token(told["token_endpoint"], username="ada", password=PASSWORD))
    second = dict(person.refresh_token(told["token_endpoint"], refresh_token=first["refresh_token"]))
    assert person.get(f"{served.url}/api/v1/audit").status_code == 200

    def worth(token: str) -> dict[str, Any]:
        answer = other.post(told["introspection_endpoint"], data={"token": token})
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    assert worth(second["access_token"])["username"] == "ada"
    assert worth(second["access_token"])["active"] is True
    assert worth(second["refresh_token"])["token_type"] == "refresh_token"
    assert worth(got["access_token"])["client_id"] == gate_id
    assert worth(first["refresh_token"]) == worth("nonsense") == {"active": False}
    revoked = person.revoke_token(told["revocation_endpoint"], token=second["refresh_token"])
    assert revoked.status_code == 200
    assert worth(second["access_token"]) == worth(second["refresh_token"]) == {"active": False}
    answer = requests.get(
        f"{served.url}/api/v1/audit", headers={"Authorization": f"Bearer {second['access_token']}"}, timeout=30
    )
    assert answer.status_code == 401
