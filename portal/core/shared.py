"""What instances share beside the database: a Redis or Valkey server, where REDIS_URL names one.

Only for what may be lost: approximate counters. While it does not answer, each process counts for itself.
"""

from __future__ import annotations

import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from portal.core import clock, settings

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
PATIENCE_S = 0.25
# How long a server that did not answer is left alone: waiting for it at every call would slow all of them.
PAUSE_S = 5.0
log = structlog.get_logger()
_clients: dict[str, Any] = {}
_asleep_until: dict[str, float] = {}
_making = threading.Lock()


def ask_shared(question: Callable[[Any], T]) -> T | None:
    """What the question answers, asked of a client of the shared server; None when there is none that answers."""
    url = settings.current().redis_url
    if not url or clock.monotonic() < _asleep_until.get(url, 0.0):
        return None
    redis = import_module("redis")  # heavy, and most run without one
    try:
        return question(_client(redis, url))
    except redis.RedisError as error:
        _asleep_until[url] = clock.monotonic() + PAUSE_S
        log.warning("shared.unavailable", error=type(error).__name__)
        return None


def _client(redis: Any, url: str) -> Any:
    with _making:
        if url not in _clients:
            _clients[url] = redis.Redis.from_url(
                url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S, decode_responses=True
            )
        return _clients[url]


def forget_shared() -> None:
    """Close the connections and ask again at once."""
    while _clients:
        _clients.popitem()[1].close()
    _asleep_until.clear()
