"""The Redis or Valkey server of a spool: asked with little patience, and what it does with what it is given."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from portal.core import clock
from portal.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from portal.messages.spool_scripts import Script

T = TypeVar("T")
CONNECT_S = 1.0
SYNC_MS = 2000
# More than the server may wait for its disk.
ANSWER_S = 3.0
# For so long a server that cannot tell whether it synced is not asked again.
PAUSE_S = 60.0
log = structlog.get_logger()


class SpoolServer:
    """The server at an address, and the keys that the scripts work on. Every fault of it is Unavailable."""

    def __init__(self, url: str, keys: Sequence[str]) -> None:
        self.url, self.keys = url, keys
        redis = import_module("redis")  # heavy, and most run without one
        # What the server says no to; the other faults never leave here.
        self.Refused: type[Exception] = redis.ResponseError
        self._redis: Any = redis
        self._client: Any = None
        self._making = threading.Lock()
        self._faulty = False
        self._probe = threading.Lock()
        self._sync_from = 0.0

    def _connected(self) -> Any:
        with self._making:
            if self._client is None:
                # Nothing is tried twice by itself: whoever is refused comes again.
                retry = import_module("redis.retry").Retry(import_module("redis.backoff").NoBackoff(), 0)
                self._client = self._redis.Redis.from_url(
                    self.url, protocol=2, socket_connect_timeout=CONNECT_S, socket_timeout=ANSWER_S, retry=retry
                )
            return self._client

    def ask(self, question: Callable[[Any], T]) -> T:
        """What the question answers, asked of a client of the server. Raises Unavailable for every fault.

        After one that is away or silent, only one caller at a time tries it until it answers: the others are refused
        at once, so that it does not hold every thread for seconds.
        """
        trying = self._faulty
        if trying and not self._probe.acquire(blocking=False):
            raise Unavailable
        try:
            answer = question(self._connected())
        except (self._redis.ConnectionError, self._redis.TimeoutError) as error:
            self._faulty = True
            log.warning("spool.unavailable", error=type(error).__name__)
            raise Unavailable from error
        except self._redis.RedisError as error:
            log.warning("spool.refused", error=str(error)[:200])
            raise Unavailable from error
        finally:
            if trying:
                self._probe.release()
        self._faulty = False
        return answer

    def run(self, script: Script, arguments: Sequence[Any], *, synced: bool = False) -> Any:
        """A script's answer; `synced`: once what it wrote is on the server's disk, as far as the server can tell.

        Raises Unavailable; then the script may have run all the same.
        """
        return self.ask(lambda client: self._run(client, script, arguments, synced=synced))

    def _run(self, client: Any, script: Script, arguments: Sequence[Any], *, synced: bool) -> Any:
        synced = synced and clock.monotonic() >= self._sync_from
        answer, waited = self._send(client, ("EVALSHA", script.digest), arguments, synced=synced)
        if isinstance(answer, self._redis.exceptions.NoScriptError):
            answer, waited = self._send(client, ("EVAL", script.text), arguments, synced=synced)
        if isinstance(answer, Exception):
            raise answer
        if synced:
            self._judge_sync(client, waited)
        return answer

    def _send(self, client: Any, call: tuple[str, str], arguments: Sequence[Any], *, synced: bool) -> tuple[Any, Any]:
        """The script's answer and that of the sync, on one connection: the sync is of what that connection wrote."""
        pipe = client.pipeline(transaction=False)
        pipe.execute_command(*call, len(self.keys), *self.keys, *arguments)
        if synced:
            pipe.execute_command("WAITAOF", 1, 0, SYNC_MS)
        answer, *waited = pipe.execute(raise_on_error=False)
        return answer, waited[0] if waited else None

    def _judge_sync(self, client: Any, waited: Any) -> None:
        """Raise when the disk did not follow in time. A server that never tells is believed, and warned of."""
        if isinstance(waited, list) and waited[0] >= 1:
            return
        if isinstance(waited, list) and config_of(client).get("appendfsync") != "no":
            raise self._redis.TimeoutError("the append-only file was not synced in time")
        self._sync_from = clock.monotonic() + PAUSE_S
        log.warning("spool.not_synced", error=str(waited)[:200])

    def close(self) -> None:
        """Hang up. A later call connects anew."""
        with self._making:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def config_of(client: Any) -> dict[str, str]:
    """Its settings that matter here; empty where it does not let us ask. Raises what the client raises otherwise."""
    try:
        given = client.config_get("appendonly", "appendfsync", "maxmemory-policy")
    except import_module("redis").ResponseError:  # not allowed, or renamed
        return {}
    return {_text(name): _text(value) for name, value in given.items()}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def server_warnings(client: Any, *, power: bool) -> list[str]:
    """Under which of its settings records that were accepted would be lost, and what to set."""
    found = config_of(client)
    if not found:
        return ["cannot tell whether the server keeps what it is given: it does not allow CONFIG GET"]
    words = []
    append = found.get("appendonly") == "yes"
    if not append:
        words.append("a restart of the server loses what waits: set appendonly yes")
    sync = found.get("appendfsync")
    if append and sync == "no":
        words.append("the server never syncs its file: set appendfsync always")
    elif append and power and sync != "always":
        words.append(f"appendfsync {sync} lets pushes wait, or before version 7.2 a power cut lose: set always")
    if (policy := found.get("maxmemory-policy")) != "noeviction":
        words.append(f"a full server throws out records under maxmemory-policy {policy}: set noeviction")
    return words
