"""What a token is worth (RFC 7662): an access token, a refresh token or an API key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portal.accounts.models import State
from portal.accounts.standing import owes_factor
from portal.clients.service import client_of_id
from portal.core import clock
from portal.core.access import Capability, needs
from portal.core.actor import ActorKind
from portal.core.ids import parse_id
from portal.keys.known import digest_of, read_key
from portal.keys.verify import Question, refusal_of
from portal.tokens.access_tokens import read_access_token
from portal.tokens.families import IDLE, LONGEST, family_of, is_fresh, is_living, living_family

if TYPE_CHECKING:
    from portal.accounts.models import Account
    from portal.core.actor import Actor
    from portal.tokens.access_tokens import Claims
    from portal.tokens.models import TokenFamily

NOTHING: dict[str, Any] = {"active": False}


@needs(Capability.TOKEN_INTROSPECT)
def introspect(actor: Actor, token: str) -> dict[str, Any]:
    """The members of RFC 7662, 2.2; `{"active": false}` and no more of what is not good now, whatever it is."""
    if token.startswith("dw_"):
        return _of_key(token)
    claims = read_access_token(token)
    if claims is not None:
        return _of_access_token(claims)
    found = family_of(token)
    return _of_refresh_token(token, *found) if found is not None else NOTHING


def _of_access_token(claims: Claims) -> dict[str, Any]:
    told = {
        "active": True,
        "token_type": "Bearer",
        "scope": claims.scope,
        "sub": claims.sub,
        "kind": claims.kind,
        "iss": claims.iss,
        "aud": claims.aud,
        "exp": claims.exp,
        "iat": claims.iat,
        "nbf": claims.nbf,
        "jti": claims.jti,
    }
    if claims.kind == ActorKind.CLIENT.value:
        client = client_of_id(claims.subject)
        return told | {"client_id": claims.sub, "username": client.name} if client is not None else NOTHING
    family_id = parse_id(claims.sid or "")
    found = living_family(family_id) if family_id is not None else None
    if found is None or not _is_open(found[1]):
        return NOTHING
    return told | {"sid": claims.sid, "username": found[1].username}


def _of_refresh_token(token: str, family: TokenFamily, account: Account) -> dict[str, Any]:
    if not is_living(family, account) or not _is_open(account) or not is_fresh(token):
        return NOTHING
    over = min(family.created_at + LONGEST, family.last_used_at + IDLE)
    return {
        "active": True,
        "token_type": "refresh_token",
        "sub": str(account.id),
        "kind": account.kind,
        "username": account.username,
        "sid": str(family.id),
        "iat": int(family.created_at.timestamp()),
        "exp": int(over.timestamp()),
    }


def _of_key(secret: str) -> dict[str, Any]:
    key = read_key(digest_of(secret))
    now = clock.now()
    if key is None or refusal_of(key, Question(secret, conversations=0, credits=0), now) not in {
        None,
        "IP_NOT_ALLOWED",
    }:
        return NOTHING
    told = {
        "active": True,
        "token_type": "api_key",
        "scope": " ".join(key.scopes),
        "sub": str(key.budget.user_id),
        "kind": "user",
        "username": key.budget.username,
        "key_id": str(key.id),
    }
    return told | {"exp": int(key.expires_at.timestamp())} if key.expires_at else told


def _is_open(account: Account) -> bool:
    """Whether its tokens open anything; from which network is another question."""
    return account.state == State.ACTIVE and account.locked_at is None and not owes_factor(account)
