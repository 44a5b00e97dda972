"""/.well-known: where tokens come from (RFC 8414), and the keys that check them (RFC 7517)."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response

from portal.api.describing import describes
from portal.core import access, settings
from portal.tokens.access_tokens import ACCOUNT_SCOPE, issuer
from portal.tokens.signing_keys import key_set
from portal.web.problems import json_response

blueprint = Blueprint("well_known", __name__, url_prefix="/.well-known")
# So soon every checker knows a key that was made just now; one that is not known is asked for anew anyway.
KEPT_S = 300


class KeySetShape(msgspec.Struct):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, Any]]


class MetadataShape(msgspec.Struct):
    """Authorization server metadata (RFC 8414)."""

    issuer: str
    token_endpoint: str
    revocation_endpoint: str
    introspection_endpoint: str
    jwks_uri: str
    grant_types_supported: list[str]
    response_types_supported: list[str]
    scopes_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    revocation_endpoint_auth_methods_supported: list[str]
    introspection_endpoint_auth_methods_supported: list[str]
    service_documentation: str


@blueprint.get("/jwks.json")
@describes({200: KeySetShape}, tag="auth")
def keys() -> Response:
    """The public keys of access tokens."""
    response = json_response(key_set())
    response.headers["Cache-Control"] = f"public, max-age={KEPT_S}"
    return response


@blueprint.get("/oauth-authorization-server")
@describes({200: MetadataShape}, tag="auth")
def metadata() -> Response:
    """What this authorization server offers."""
    base = f"{issuer()}/api/v1/auth"
    grants = ["refresh_token", "client_credentials"]
    if settings.current().password_grant:
        grants += ["password", "urn:doorward:mfa"]
    client_ways = ["client_secret_basic", "client_secret_post"]
    told = {
        "issuer": issuer(),
        "token_endpoint": f"{base}/token",
        "revocation_endpoint": f"{base}/revoke",
        "introspection_endpoint": f"{base}/introspect",
        "jwks_uri": f"{issuer()}/.well-known/jwks.json",
        "grant_types_supported": grants,
        "response_types_supported": [],
        "scopes_supported": [ACCOUNT_SCOPE, *access.SCOPES],
        "token_endpoint_auth_methods_supported": ["none", *client_ways],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint_auth_methods_supported": ["bearer"],
        "service_documentation": f"{issuer()}/api/docs",
    }
    return json_response(told)
