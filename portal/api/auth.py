"""/api/v1/auth: tokens (RFC 6749, 7009, 7662), registration, and who one is."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import msgspec
from flask import Blueprint, Response, request

from portal.accounts.directory import own_account
from portal.api.account_shapes import AccountShape, account_response
from portal.api.bodies import require_media_type
from portal.api.describing import describes
from portal.core.access import Capability
from portal.core.text import gettext
from portal.keys.introspecting import introspect
from portal.signin.entry import FactorOwed
from portal.signin.grants import grant_by_factor, grant_by_password, grant_by_refresh, grant_to_client
from portal.signin.revoking import revoke_token
from portal.tokens.errors import GrantRefused
from portal.web.gates import requires
from portal.web.identity import actor
from portal.web.problems import json_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.signin.grants import Granted

blueprint = Blueprint("auth", __name__, url_prefix="/auth")
open_blueprint = Blueprint("open_auth", __name__, url_prefix="/auth")
FORM = "application/x-www-form-urlencoded"
MFA = "urn:doorward:mfa"
MOST = 8192


class TokenForm(msgspec.Struct):
    """A request for tokens, as a form."""

    grant_type: str
    username: str | msgspec.UnsetType = msgspec.UNSET
    password: str | msgspec.UnsetType = msgspec.UNSET
    refresh_token: str | msgspec.UnsetType = msgspec.UNSET
    mfa_token: str | msgspec.UnsetType = msgspec.UNSET
    otp: str | msgspec.UnsetType = msgspec.UNSET
    recovery_code: str | msgspec.UnsetType = msgspec.UNSET
    client_id: str | msgspec.UnsetType = msgspec.UNSET
    client_secret: str | msgspec.UnsetType = msgspec.UNSET
    scope: str | msgspec.UnsetType = msgspec.UNSET


class TokenShape(msgspec.Struct):
    """Tokens."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    refresh_token: str | msgspec.UnsetType = msgspec.UNSET


class OneTokenForm(msgspec.Struct):
    """The token that is meant, as a form."""

    token: str
    token_type_hint: str | msgspec.UnsetType = msgspec.UNSET


class WorthShape(msgspec.Struct):
    """What a token is worth; of one that is not good only that."""

    active: bool
    token_type: str | msgspec.UnsetType = msgspec.UNSET
    scope: str | msgspec.UnsetType = msgspec.UNSET
    sub: str | msgspec.UnsetType = msgspec.UNSET
    kind: str | msgspec.UnsetType = msgspec.UNSET
    username: str | msgspec.UnsetType = msgspec.UNSET
    client_id: str | msgspec.UnsetType = msgspec.UNSET
    key_id: str | msgspec.UnsetType = msgspec.UNSET
    sid: str | msgspec.UnsetType = msgspec.UNSET
    iss: str | msgspec.UnsetType = msgspec.UNSET
    aud: str | msgspec.UnsetType = msgspec.UNSET
    exp: int | msgspec.UnsetType = msgspec.UNSET
    iat: int | msgspec.UnsetType = msgspec.UNSET
    nbf: int | msgspec.UnsetType = msgspec.UNSET
    jti: str | msgspec.UnsetType = msgspec.UNSET


@open_blueprint.post("/token")
@describes({200: TokenShape}, body=TokenForm, takes=(FORM,), oauth=True, errors=(401, 403))
def token() -> Response:
    """Get tokens by a password, a second factor, a refresh token, or as a service client."""
    form = _form()
    kind = _wanted(form, "grant_type")
    grant = GRANTS.get(kind)
    if grant is None:
        raise GrantRefused("unsupported_grant_type", gettext("There is no such grant type here."))
    made = grant(form)
    if isinstance(made, FactorOwed):
        words = gettext("This account has a second factor: send a code with this token.")
        told = {"error": "mfa_required", "error_description": str(words), "mfa_token": made.secret}
        return json_response(told | {"code": "FORBIDDEN", "request_id": actor().request_id}, 403)
    tokens: dict[str, Any] = {
        "access_token": made.access_token,
        "token_type": "Bearer",
        "expires_in": made.expires_in,
        "scope": made.scope,
    }
    if made.refresh_token:
        tokens["refresh_token"] = made.refresh_token
    return json_response(tokens)


@open_blueprint.post("/revoke")
@describes({200: None}, body=OneTokenForm, takes=(FORM,), oauth=True)
def revoke() -> Response:
    """End a sign-in over the API by one of its tokens; of one that is none the answer is the same."""
    revoke_token(actor(), _wanted(_form(), "token"))
    return Response(status=200, headers={"Cache-Control": "no-store"})


@blueprint.post("/introspect")
@requires(Capability.TOKEN_INTROSPECT)
@describes({200: WorthShape}, body=OneTokenForm, takes=(FORM,), oauth=True)
def introspection() -> Response:
    """Ask what an access token, a refresh token or an API key is worth now."""
    return json_response(introspect(actor(), _wanted(_form(), "token")))


@blueprint.get("/me")
@requires(Capability.OWN_PROFILE)
@describes({200: AccountShape}, versioned=True)
def whoami() -> Response:
    """Show the account behind the token."""
    return account_response(own_account(actor()))


def _by_password(form: dict[str, str]) -> Granted | FactorOwed:
    _check_scope(form)
    return grant_by_password(actor(), _wanted(form, "username"), _wanted(form, "password"), _device())


def _by_factor(form: dict[str, str]) -> Granted:
    given = form.get("otp") or form.get("recovery_code")
    if not given:
        raise GrantRefused("invalid_request", gettext("Send otp or recovery_code."))
    return grant_by_factor(actor(), _wanted(form, "mfa_token"), given, _device())


def _by_refresh(form: dict[str, str]) -> Granted:
    _check_scope(form)
    return grant_by_refresh(actor(), _wanted(form, "refresh_token"))


def _as_client(form: dict[str, str]) -> Granted:
    client_id, secret = _client_of_header() or (form.get("client_id", ""), form.get("client_secret", ""))
    return grant_to_client(actor(), client_id, secret, form.get("scope", ""))


GRANTS: dict[str, Callable[[dict[str, str]], Granted | FactorOwed]] = {
    "password": _by_password,
    MFA: _by_factor,
    "refresh_token": _by_refresh,
    "client_credentials": _as_client,
}


def _form() -> dict[str, str]:
    """The fields of the form, each once. Raises UnsupportedType, GrantRefused."""
    require_media_type((FORM,))
    if any(len(values) > 1 for values in request.form.listvalues()):
        raise GrantRefused("invalid_request", gettext("A field stands there twice."))
    made = {name: value for name, value in request.form.items() if value}
    if any(len(value) > MOST or "\0" in value for value in made.values()):
        raise GrantRefused("invalid_request", gettext("A field is too long, or holds NUL."))
    return made


def _wanted(form: dict[str, str], name: str) -> str:
    if name not in form:
        raise GrantRefused("invalid_request", gettext("The field %(name)s is missing.", name=name))
    return form[name]


def _check_scope(form: dict[str, str]) -> None:
    """An account's tokens are for all that the account may; a narrower one is not offered."""
    if form.get("scope", "account") != "account":
        raise GrantRefused("invalid_scope", gettext("The only scope of an account is: account."))


def _client_of_header() -> tuple[str, str] | None:
    """Id and secret of the header Authorization: Basic, each URL-encoded (RFC 6749, 2.3.1). Raises GrantRefused."""
    kind, _, told = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(told.strip(), validate=True).decode()
    except ValueError:  # not base64, or not of UTF-8, or not even of ASCII
        pair = ""
    client_id, colon, secret = pair.partition(":")
    if not colon:
        raise GrantRefused("invalid_client")
    return unquote_plus(client_id), unquote_plus(secret)


def _device() -> str:
    return request.headers.get("User-Agent", "")[:200]
