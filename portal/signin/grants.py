"""Tokens for whoever shows who they are to the token endpoint (RFC 6749): by password, second factor, refresh token.

The same checks as on the way through the sign-in page, and the same audit entries for what fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.accounts.lifecycle import target_of
from portal.accounts.models import Account, State
from portal.accounts.standing import owes_factor
from portal.audit import events
from portal.audit.record import Target, record
from portal.clients.service import client_of_id, client_of_token
from portal.core import access, settings
from portal.core.access import open_to_all
from portal.core.actor import Actor, ActorKind
from portal.core.errors import Invalid, StepOver
from portal.core.ids import parse_id
from portal.core.text import gettext
from portal.signin.codes import spend_code
from portal.signin.devices import UNKNOWN, Browser, tell_owner
from portal.signin.entry import FactorOwed, check_factor_of, check_network, check_password_of
from portal.signin.networks import network_allows
from portal.signin.sessions import actor_of, note_seen
from portal.signin.steps import Step, begin_step
from portal.tokens.access_tokens import ACCOUNT_SCOPE, make_access_token, read_access_token
from portal.tokens.errors import GrantRefused
from portal.tokens.families import (
    NotTurned,
    begin_family,
    end_family,
    living_family,
    note_family_use,
    turn,
    was_known,
)

if TYPE_CHECKING:
    from uuid import UUID

    from portal.core.errors import Trace
    from portal.tokens.access_tokens import Claims
    from portal.tokens.models import TokenFamily


@dataclass(frozen=True, slots=True)
class Granted:
    """Tokens. A service client gets no refresh token: it has its own."""

    access_token: str
    expires_in: int
    scope: str
    refresh_token: str | None = None


@open_to_all("anybody may try; guessing is throttled")
def grant_by_password(actor: Actor, typed_name: str, password: str, device: str) -> Granted | FactorOwed:
    """Tokens for a name and a password (RFC 6749, 4.3), for first-party programs, where PASSWORD_GRANT is on.

    With a second factor set up, the secret that `grant_by_factor` wants instead. Raises GrantRefused, LimitReached.
    """
    if not settings.current().password_grant:
        raise GrantRefused("unauthorized_client", gettext("The password grant is switched off here."))
    try:
        account = check_password_of(actor, typed_name, password, UNKNOWN)
        if account.has_factor:
            record(actor, events.SIGN_IN_HALFWAY, target_of(account), {"method": "password"})
            return FactorOwed(begin_step(Step.TOKEN_FACTOR, account, {"method": "password"}), account)
        return _begin(actor, account, device, "password")
    except Invalid as refused:
        raise _refused(refused) from refused


@open_to_all("whoever gave the right password to the token endpoint; five wrong codes end that")
def grant_by_factor(actor: Actor, mfa_token: str, code: str, device: str) -> Granted:
    """Tokens for the second half: a code of the authenticator app, or a recovery code.

    Raises GrantRefused, LimitReached.
    """
    try:
        account, method = check_factor_of(
            actor, mfa_token, Step.TOKEN_FACTOR, UNKNOWN, lambda account: spend_code(account, code, actor)
        )
        return _begin(actor, account, device, method)
    except (Invalid, StepOver) as refused:
        raise _refused(refused) from refused


@open_to_all("whoever holds a refresh token; a second use ends all tokens of that sign-in")
def grant_by_refresh(actor: Actor, token: str) -> Granted:
    """Tokens for a refresh token (RFC 6749, 6), which is good once. Raises GrantRefused."""
    try:
        turned = turn(token)
    except NotTurned as not_turned:
        raise GrantRefused("invalid_grant", trace=_trace_of(actor, not_turned)) from None
    account = turned.account
    if (
        account.state != State.ACTIVE
        or account.locked_at is not None
        or not network_allows(account.kind, actor.address)
    ):
        raise GrantRefused("invalid_grant")
    _check_factors(account)
    return _granted(account, turned.family.id, turned.token)


@open_to_all("whoever holds the token of a service client")
def grant_to_client(actor: Actor, client_id: str, secret: str, scope: str) -> Granted:
    """An access token for a service client (RFC 6749, 4.4), by its id and its `dwc_` token. Raises GrantRefused."""
    client = client_of_token(secret)
    if client is None or parse_id(client_id) != client.id:
        raise GrantRefused(
            "invalid_client", trace=(lambda: record(actor, events.CLIENT_GRANT_FAILED, Target("client")),)
        )
    wanted = tuple(dict.fromkeys(scope.split())) or client.scopes
    if not set(wanted) <= set(client.scopes):
        raise GrantRefused("invalid_scope", gettext("The client does not hold every scope that was asked for."))
    granted = " ".join(wanted)
    token = make_access_token(client.id, kind=ActorKind.CLIENT.value, scope=granted, client_id=client.id)
    return Granted(token, settings.current().access_token_ttl_s, granted)


def actor_of_access_token(
    text: str, address: str | None, request_id: str | None
) -> tuple[Actor, tuple[TokenFamily, Account] | None] | None:
    """Who comes with this access token, and of an account the family that is in use, with the account; None when it is
    not good, or its account, family or client is not any more.

    Read anew each time: a suspension, a lowered level, an ended family is felt at once, not when the token is over.
    """
    claims = read_access_token(text)
    if claims is None:
        return None
    if claims.kind == ActorKind.CLIENT.value:
        client = _client_of(claims, address, request_id)
        return (client, None) if client is not None else None
    family_id = parse_id(claims.sid or "")
    found = living_family(family_id) if family_id is not None and claims.scope == ACCOUNT_SCOPE else None
    if found is None:
        return None
    family, account = found
    if claims.subject != account.id or account.state != State.ACTIVE or account.locked_at is not None:
        return None
    if not network_allows(account.kind, address) or owes_factor(account):
        return None
    made = actor_of(account, address=address, request_id=request_id, credential="access token", session=family)
    return made, found


def note_token_use(family: TokenFamily) -> None:
    """Write down that a program uses its tokens, at most once a minute."""
    if note_family_use(family):
        note_seen(family.account_id)


def _client_of(claims: Claims, address: str | None, request_id: str | None) -> Actor | None:
    client = client_of_id(claims.subject)
    if client is None:
        return None
    held = tuple(scope for scope in claims.scope.split() if scope in client.scopes)
    return Actor(
        kind=ActorKind.CLIENT,
        name=client.name,
        id=client.id,
        capabilities=access.of_scopes(held),
        credential="access token",
        address=address,
        request_id=request_id,
        rate=client.rate,
    )


def _begin(actor: Actor, account: Account, device: str, method: str) -> Granted:
    check_network(actor, account)
    _check_factors(account)
    if account.state == State.CLOSING:
        words = gettext("This account is being closed. Sign in on the pages to keep it, or to take your data along.")
        raise GrantRefused("invalid_grant", words)
    family, token = begin_family(account, address=actor.address, device=device, method=method, proven=True)
    if not was_known(account.id, device, but=family.id):
        tell_owner(account, Browser(device), actor.address)
    own = actor_of(account, address=actor.address, request_id=actor.request_id, credential="access token")
    record(own, events.TOKENS_GRANTED, target_of(account), {"method": method})
    return _granted(account, family.id, token)


def _check_factors(account: Account) -> None:
    if owes_factor(account):
        raise GrantRefused("invalid_grant", gettext("Set up a second factor on the pages first."))


def _granted(account: Account, family_id: UUID, refresh_token: str) -> Granted:
    token = make_access_token(account.id, kind=account.kind, scope=ACCOUNT_SCOPE, family_id=family_id)
    return Granted(token, settings.current().access_token_ttl_s, ACCOUNT_SCOPE, refresh_token)


def _refused(error: Invalid | StepOver) -> GrantRefused:
    return GrantRefused("invalid_grant", error.words, trace=error.trace)


def _trace_of(actor: Actor, not_turned: NotTurned) -> tuple[Trace, ...]:
    """What outlives the refusal of a replay: the family is over, and the owner's activity tells of it."""
    family, account = not_turned.replayed, not_turned.account
    if family is None or account is None:
        return ()

    def end() -> None:
        if end_family(family.id, "replayed"):
            record(actor, events.TOKEN_REPLAYED, target_of(account))

    return (end,)
