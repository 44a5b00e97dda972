"""What a provider says of itself (OpenID Connect Discovery 1.0) and the keys it signs with, kept for a while.

Kept in the process, by issuer. A key that is not known has the key set fetched again, at most once a minute; a provider
that did not answer is not asked again for some seconds, so that it holds up nobody but those who want it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from portal.core import clock, settings
from portal.core.errors import Unavailable
from portal.core.outgoing import WITHIN_S, Unreachable, fetch
from portal.core.provider_terms import web_address_fault
from portal.core.text import gettext

if TYPE_CHECKING:
    from portal.outside.providers import KnownProvider

log = structlog.get_logger()
R = TypeVar("R")
KEPT_FOR = timedelta(hours=1)
AGAIN_AFTER = timedelta(minutes=1)
LEFT_ALONE = timedelta(seconds=10)
MOST_KEYS = 100
# Threads that wait for what another is asking; whoever comes besides is told to try again, so that others are served.
_waiting = threading.BoundedSemaphore(8)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where a provider is asked for what. `basic`: the client's secret goes in the header; `iss_always`: answers carry
    the issuer (RFC 9207)."""

    issuer: str
    authorization: str
    token: str
    keys: str
    userinfo: str | None
    basic: bool
    iss_always: bool


@dataclass
class _Kept:
    """What is known of one issuer."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    metadata: Metadata | None = None
    metadata_at: datetime | None = None
    keys: list[dict[str, Any]] | None = None
    keys_at: datetime | None = None
    failed_at: datetime | None = None


_kept: dict[tuple[str, bool], _Kept] = {}


def forget_discoveries() -> None:
    """Ask every provider anew."""
    _kept.clear()


def unavailable(provider: KnownProvider) -> Unavailable:
    """The error that says that a provider cannot be asked now."""
    words = gettext(
        "%(name)s does not answer just now. Sign in with your password, or try again in a moment.",
        name=provider.terms.name,
    )
    return Unavailable(words, retry_after=int(LEFT_ALONE.total_seconds()))


def metadata_of(provider: KnownProvider) -> Metadata:
    """What the provider says of itself. Raises Unavailable."""
    kept = _kept_of(provider)
    # Old news does while somebody else is fetching fresh ones.
    if kept.metadata is not None and (not _older(kept.metadata_at, KEPT_FOR) or kept.lock.locked()):
        return kept.metadata

    def ask() -> Metadata:
        if kept.metadata is None or _older(kept.metadata_at, KEPT_FOR):
            kept.metadata, kept.metadata_at = discover(provider), clock.now()
        return kept.metadata

    return _one_at_a_time(provider, kept, ask)


def keys_of(provider: KnownProvider, *, unknown: str | None = None) -> list[dict[str, Any]]:
    """The keys with which the provider signs, as it publishes them (RFC 7517). With the id of a key that was not among
    them they are fetched again, unless they were a moment ago. Raises Unavailable."""
    metadata = metadata_of(provider)
    kept = _kept_of(provider)
    longest = AGAIN_AFTER if unknown is not None else KEPT_FOR
    if kept.keys is not None and not _older(kept.keys_at, longest):
        return kept.keys

    def ask() -> list[dict[str, Any]]:
        if kept.keys is None or _older(kept.keys_at, longest):
            # Before it is asked: of answers that fail there are no more than of those that do not.
            kept.keys_at = clock.now()
            kept.keys = _fetch_keys(provider, metadata)
        return kept.keys

    return _one_at_a_time(provider, kept, ask)


def _kept_of(provider: KnownProvider) -> _Kept:
    return _kept.setdefault((provider.terms.issuer, provider.trusted), _Kept())


def _older(at: datetime | None, than: timedelta) -> bool:
    # A clock that was set back must not keep what is old for ever.
    return at is None or not timedelta(0) <= clock.now() - at < than


def _one_at_a_time(provider: KnownProvider, kept: _Kept, ask: Callable[[], R]) -> R:
    """Ask, while others who want the same wait for that answer; not at all where it failed a moment ago."""
    if not _older(kept.failed_at, LEFT_ALONE) or not _lock(kept):
        raise unavailable(provider)
    try:
        if not _older(kept.failed_at, LEFT_ALONE):
            raise unavailable(provider)
        found = ask()
    except Unreachable as error:
        kept.failed_at = clock.now()
        log.warning("provider.unreachable", provider=provider.terms.slug, why=str(error))
        raise unavailable(provider) from None
    finally:
        kept.lock.release()
    kept.failed_at = None
    return found


def _lock(kept: _Kept) -> bool:
    if kept.lock.acquire(blocking=False):
        return True
    if not _waiting.acquire(blocking=False):
        return False
    try:
        return kept.lock.acquire(timeout=WITHIN_S)
    finally:
        _waiting.release()


def fetch_json(provider: KnownProvider, address: str, **kwargs: Any) -> dict[str, Any]:
    """A JSON object from a provider. Raises Unreachable, naming what is wrong with the answer."""
    reply = fetch(address, inside=provider.trusted, **kwargs)
    if reply.status != 200:
        raise Unreachable(f"answered with status {reply.status}")
    try:
        said = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise Unreachable("answered no JSON") from None
    if not isinstance(said, dict):
        raise Unreachable("answered no JSON object")
    return said


def discover(provider: KnownProvider) -> Metadata:
    """Ask a provider about itself, now. Raises Unreachable, also for an answer that must not be believed."""
    issuer = provider.terms.issuer
    said = fetch_json(provider, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if said.get("issuer") != issuer:
        raise Unreachable(f"calls itself another issuer: {str(said.get('issuer'))[:200]!r}")
    places = {}
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        places[name] = _place(said, name)
        if places[name] is None:
            raise Unreachable(f"names no usable {name}")
    ways = said.get("token_endpoint_auth_methods_supported")
    return Metadata(
        issuer=issuer,
        authorization=str(places["authorization_endpoint"]),
        token=str(places["token_endpoint"]),
        keys=str(places["jwks_uri"]),
        userinfo=_place(said, "userinfo_endpoint"),
        basic=not isinstance(ways, list) or "client_secret_basic" in ways or "client_secret_post" not in ways,
        iss_always=said.get("authorization_response_iss_parameter_supported") is True,
    )


def _place(said: dict[str, Any], name: str) -> str | None:
    address = said.get(name)
    plain = not settings.current().production
    return address if isinstance(address, str) and web_address_fault(address, plain=plain) is None else None


def _fetch_keys(provider: KnownProvider, metadata: Metadata) -> list[dict[str, Any]]:
    listed = fetch_json(provider, metadata.keys).get("keys")
    if not isinstance(listed, list):
        raise Unreachable("publishes no keys")
    return [key for key in listed[:MOST_KEYS] if isinstance(key, dict)]
