"""The trip to a provider and back: begun in a browser, known again only there, and over once (RFC 6749, 7636, 9207).

State, nonce and verifier are random, lie in a step that only this browser's cookie names, and are good once.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import structlog

from portal.accounts.models import Account
from portal.core import clock
from portal.core.access import Capability, needs, open_to_all, recently
from portal.core.database import db
from portal.core.errors import Conflict, Invalid, NotFound, PortalError, SignInNeeded
from portal.core.ids import new_secret
from portal.core.outgoing import Unreachable
from portal.core.text import gettext
from portal.mail.rendering import site_link
from portal.outside.arrivals import ConfirmationSent, LinkWaiting, arrive
from portal.outside.discovery import metadata_of, unavailable
from portal.outside.identities import begin_waiting, identity_of
from portal.outside.providers import provider_named
from portal.outside.tokens import CodeNotTaken, Untrue, check_fresh, claims_of, exchange, vouched
from portal.signin import throttle
from portal.signin.entry import Entered, FactorOwed, refusal
from portal.signin.reauth import note_proof
from portal.signin.steps import Step, begin_step, end_of, look_at_step, take_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.core.actor import Actor
    from portal.outside.discovery import Metadata
    from portal.outside.providers import KnownProvider
    from portal.outside.tokens import Vouched
    from portal.signin.devices import Browser

log = structlog.get_logger()


class Aim(StrEnum):
    """What a trip is for; it is good for nothing else."""

    SIGN_IN = "sign_in"
    LINK = "link"
    PROOF = "proof"


@dataclass(frozen=True, slots=True)
class Trip:
    """A trip that was begun: where the browser is to go, and the secret of the step for its cookie."""

    address: str
    secret: str
    name: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the browser brought back from the provider, as it stands in the address."""

    code: str = ""
    state: str = ""
    iss: str | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Proven:
    """Somebody who is signed in has shown again who they are: the new secret of their session."""

    secret: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came of a trip, what it was for, and where its browser wanted to go."""

    result: Entered | FactorOwed | LinkWaiting | ConfirmationSent | Proven
    aim: Aim
    target: str


def redirect_uri(slug: str) -> str:
    """Where a provider sends people back to: one for each, so that no answer can be taken for another's."""
    return site_link(f"/sign-in/with/{slug}/back")


@open_to_all("anybody may go; who comes back has to bring what was begun here")
def begin_sign_in(actor: Actor, slug: str, *, target: str = "") -> Trip:
    """Begin to sign in with a provider. Raises NotFound, Unavailable, LimitReached."""
    return _begin(actor, provider_named(slug), Aim.SIGN_IN, None, {"target": target})


@needs(Capability.OWN_SECURITY)
@recently()
def begin_link(actor: Actor, slug: str) -> Trip:
    """Begin to link a provider's account with one's own. Raises NotFound, Unavailable, LimitReached."""
    return _begin(actor, provider_named(slug), Aim.LINK, _own(actor), {})


@needs(Capability.OWN_SECURITY)
def begin_proof(actor: Actor, slug: str, *, target: str = "") -> Trip:
    """Begin to show again who one is, where there is no password to type: the provider is told to ask anew.

    Raises NotFound when nobody there is linked, Conflict for an account with a password, Unavailable, LimitReached.
    """
    account, provider = _own(actor), provider_named(slug)
    if account.password_hash is not None:
        raise Conflict(gettext("Your account has a password: confirm with that."))
    if identity_of(account.id, provider.terms.issuer) is None:
        raise NotFound
    facts = {"target": target, "session": str(actor.session_id), "since": clock.now().timestamp()}
    return _begin(actor, provider, Aim.PROOF, account, facts)


def _own(actor: Actor) -> Account:
    account = db.session.get(Account, actor.id)
    if account is None:
        raise NotFound
    return account


def _begin(actor: Actor, provider: KnownProvider, aim: Aim, account: Account | None, facts: dict[str, Any]) -> Trip:
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # most sign-ins need none of it
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    terms, metadata = provider.terms, metadata_of(provider)
    drawn = {name: new_secret() for name in ("state", "nonce", "verifier")}
    begun = {"aim": aim.value, "provider": terms.slug, "issuer": terms.issuer, **drawn, **facts}
    secret = begin_step(Step.PROVIDER, account, begun)
    throttle.count_try(throttle.counter_of("challenge", actor.address))
    more = {"prompt": "login", "max_age": "0"} if aim is Aim.PROOF else {}
    address = prepare_grant_uri(
        metadata.authorization,
        client_id=terms.client_id,
        response_type="code",
        redirect_uri=redirect_uri(terms.slug),
        scope=" ".join(terms.scopes),
        state=drawn["state"],
        nonce=drawn["nonce"],
        code_challenge=create_s256_code_challenge(drawn["verifier"]),
        code_challenge_method="S256",
        **more,
    )
    return Trip(address, secret, terms.name)


@open_to_all("whoever began the trip in this browser, once")
def come_back(actor: Actor, slug: str, answer: Answer, step_secret: str | None, browser: Browser) -> Arrival:
    """Take what the provider sent along. What was begun is over afterwards, however it ends, unless it was not this.

    Raises SignInNeeded when nothing such was begun here, or it is over; Invalid for an answer that is not believed;
    Unavailable when the provider does not answer; and what refuses a sign-in (see signin/entry.py).
    """
    _, account, facts = look_at_step(step_secret, Step.PROVIDER)
    if (
        facts["aim"] not in set(Aim)
        or facts["provider"] != slug
        or not hmac.compare_digest(facts["state"].encode(), answer.state.encode("utf-8", "replace"))
    ):
        raise SignInNeeded(gettext("That was not begun in this browser. Sign in again from the start."))
    throttle.check_throttle(throttle.counter_of("address", actor.address))
    aim = Aim(facts["aim"])
    if aim is not Aim.SIGN_IN and (account is None or account.id != actor.id):
        raise SignInNeeded(gettext("You were signed out meanwhile. Sign in and begin again."))
    provider = provider_named(slug)
    if provider.terms.issuer != facts["issuer"]:
        raise NotFound(gettext("This sign-in provider was changed meanwhile. Try again."))
    person = _vouched(actor, provider, answer, facts, end_of(step_secret, Step.PROVIDER))
    take_step(step_secret, Step.PROVIDER)
    try:
        return Arrival(_end(actor, provider, person, aim, account, facts, browser), aim, facts.get("target", ""))
    except PortalError as error:  # what refuses takes nothing back: the answer is used up
        error.trace = (*error.trace, end_of(step_secret, Step.PROVIDER))
        raise


def _vouched(
    actor: Actor, provider: KnownProvider, answer: Answer, facts: dict[str, Any], end: Callable[[], None]
) -> Vouched:
    """Whom the provider vouches for. All of it happens before anything is written. Raises Invalid, Unavailable.

    An answer that is not believed ends what was begun; a code that the provider does not take does not, for a browser
    that asks twice must not spoil its own first asking.
    """
    name = provider.terms.name
    if answer.error or not answer.code:
        if answer.error == "access_denied":
            words = gettext("You did not let %(name)s tell who you are, so nothing was done.", name=name)
            raise Invalid({}, words, trace=(end,))
        log.warning("provider.refused", provider=provider.terms.slug, error=answer.error[:60])
        raise Invalid({}, gettext("%(name)s could not tell who you are. Try again.", name=name), trace=(end,))
    metadata = metadata_of(provider)
    try:
        _check_issuer(metadata, answer)
        tokens = exchange(
            provider,
            metadata,
            code=answer.code,
            verifier=facts["verifier"],
            redirect_uri=redirect_uri(provider.terms.slug),
        )
        claims = claims_of(provider, tokens["id_token"], nonce=facts["nonce"])
        if facts["aim"] == Aim.PROOF:
            check_fresh(claims, since=facts["since"])
        return vouched(provider, metadata, claims, tokens.get("access_token"))
    except Unreachable as error:
        log.warning("provider.unreachable", provider=provider.terms.slug, why=str(error))
        raise unavailable(provider) from None
    except Untrue as error:
        log.warning("provider.not_believed", provider=provider.terms.slug, why=str(error))
        words = gettext("The answer of %(name)s is not one to believe, so nothing was done. Try again.", name=name)
        counters = (throttle.counter_of("address", actor.address),)
        ends = () if isinstance(error, CodeNotTaken) else (end,)
        raise refusal(actor, words, "provider", None, counters, *ends) from None


def _check_issuer(metadata: Metadata, answer: Answer) -> None:
    """RFC 9207: an answer that names its issuer must name the one that was asked; some always do."""
    if answer.iss is None and not metadata.iss_always:
        return
    if answer.iss != metadata.issuer:
        raise Untrue("the answer names another issuer")


def _end(
    actor: Actor,
    provider: KnownProvider,
    person: Vouched,
    aim: Aim,
    account: Account | None,
    facts: dict[str, Any],
    browser: Browser,
) -> Entered | FactorOwed | LinkWaiting | ConfirmationSent | Proven:
    if aim is Aim.SIGN_IN:
        return arrive(actor, provider, person, browser)
    if aim is Aim.LINK:
        return LinkWaiting(begin_waiting(provider.terms, person, account), known=True)
    linked = identity_of(account.id, person.issuer) if account else None
    if linked is None or linked.subject != person.subject or facts["session"] != str(actor.session_id):
        words = gettext("That is another account of %(name)s than the one linked here.", name=provider.terms.name)
        raise refusal(actor, words, "provider", account, (throttle.counter_of("address", actor.address),))
    return Proven(note_proof(actor, method=provider.terms.slug, factor=False))
