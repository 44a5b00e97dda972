"""How often the machine door may be called in a minute: by a service client with a rate of its own, by an account, and
at the routes for anybody by an address (of IPv6 by its /64).

Flask-Limiter counts: in Redis where REDIS_URL names one, so that all processes and instances count together; else, and
while Redis does not answer, each process for itself. These rates keep the house from being overrun and guard nothing
that matters more: guesses at secrets are counted in the database, and units are spent there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flask import Flask, current_app, g
from flask_limiter import Limiter, RateLimitExceeded

from portal.core import clock, settings
from portal.core.actor import ActorKind
from portal.core.addresses import neighbourhood
from portal.core.errors import LimitReached
from portal.core.shared import PATIENCE_S
from portal.core.text import lazy_gettext
from portal.web.identity import actor

if TYPE_CHECKING:
    from typing import Any

    from flask import Response

    from portal.core.actor import Actor
    from portal.core.settings import Settings

# Two counters for each caller, of this minute and of the one before, of which the share counts that is not over: no
# burst at the turn of a minute, and no list of instants to keep.
STRATEGY = "sliding-window-counter"
WINDOW_S = 60
WORDS = lazy_gettext(
    "That was one call too many for this minute. Retry-After says in how many seconds the next is due."
)


class Rate(NamedTuple):
    """How many calls of whom. `sort`: client, account or address."""

    sort: str
    caller: str
    per_minute: int


def register_limits(app: Flask) -> None:
    """Count with Flask-Limiter, and tell callers in each answer how they stand."""
    given: Settings = app.extensions["settings"]
    limiter = Limiter(
        _key,
        storage_uri=_storage_of(given),
        storage_options=_patience() if given.redis_url else {},
        strategy=STRATEGY,
        in_memory_fallback_enabled=True,
        key_prefix=f"doorward:{STRATEGY}",
    )
    # As if its hooks hung there already: they look in every request for rates of its route, which costs more than a
    # verify, and find none. We count where we say.
    app.extensions["limiter"] = {limiter}
    limiter.init_app(app)
    app.extensions["doorward.limiter"] = limiter, limiter.shared_limit(_text, scope="api", key_func=_key)(_counted)

    @app.after_request
    def tell(response: Response) -> Response:
        told: list[tuple[str, str]] | None = g.get("rate_told")
        if told:
            response.headers.extend(told)
        return response


def count_caller() -> None:
    """Count a call of whoever came with a credential, before anything of it is read. Raises LimitReached."""
    who = actor()
    rate = _rate_of(who)
    if rate is not None:
        _count(rate)


def count_address() -> None:
    """Count a call of a stranger by the address. Raises LimitReached."""
    per_minute = settings.current().api_address_rate_per_minute
    if per_minute:
        _count(Rate("address", neighbourhood(actor().address), per_minute))


def _rate_of(who: Actor) -> Rate | None:
    if who.kind is ActorKind.CLIENT:
        return None if who.rate is None else Rate("client", str(who.id), who.rate)
    per_minute = settings.current().api_rate_per_minute
    return Rate("account", str(who.id), per_minute) if per_minute else None


def _count(rate: Rate) -> None:
    g.rate = rate
    limiter, counted = current_app.extensions["doorward.limiter"]
    full = False
    try:
        counted()
    except RateLimitExceeded:
        full = True
    left, wait = _standing(limiter)
    g.rate_told = [
        ("RateLimit-Policy", f'"{rate.sort}";q={rate.per_minute};w={WINDOW_S}'),
        ("RateLimit", f'"{rate.sort}";r={0 if full else left};t={wait}'),
    ]
    if full:
        raise LimitReached(WORDS, retry_after=wait)


def _standing(limiter: Limiter) -> tuple[int, int]:
    """How many calls are left, and in how many seconds there is one more."""
    now = limiter.current_limit
    if now is None:
        return 0, WINDOW_S
    try:
        wait = now.reset_at - (clock.seconds() - int(clock.offset().total_seconds()))
        return now.remaining, min(max(1, wait), WINDOW_S)
    except Exception:  # whatever the shared server does: it went away between two questions
        return 0, WINDOW_S


def _counted() -> None:
    """What Flask-Limiter guards: there is nothing more to do."""


def _text() -> str:
    rate: Rate | None = g.get("rate")
    return f"{rate.per_minute}/minute" if rate else ""


def _key() -> str:
    rate: Rate | None = g.get("rate")
    return f"{rate.sort}:{rate.caller}" if rate else ""


def _storage_of(given: Settings) -> str:
    url = given.redis_url
    return f"redis+{url}" if url.startswith("unix://") else url or "memory://"


def _patience() -> dict[str, Any]:
    """How long a call waits for a Redis that does not answer: not long, and once."""
    from redis.backoff import NoBackoff  # a third of the time of a start, and only where there is a Redis
    from redis.retry import Retry

    return {
        "socket_timeout": PATIENCE_S,
        "socket_connect_timeout": PATIENCE_S,
        "retry": Retry(NoBackoff(), 0),
    }
