"""Asking another server something: bounded in time and bytes, led nowhere else, kept out of inside networks.

The name is resolved once, every address it has is judged, and one of those is spoken to: what it names a moment later
plays no part. Redirects are answers like any other, and no proxy is asked.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from portal.core import clock, database, settings
from portal.core.provider_terms import web_address_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    IP = ipaddress.IPv4Address | ipaddress.IPv6Address

WITHIN_S = 5.0
MOST_BYTES = 256 * 1024
# Threads that ask other servers at once, and that wait for such a turn; the others go on serving.
TURN_S = 2.0
_turns = threading.BoundedSemaphore(6)
_waiting = threading.BoundedSemaphore(4)
PORTS = {443, 8443}


class Unreachable(Exception):
    """No answer that can be used; the text says why, for the log."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the other server said."""

    status: int
    kind: str
    body: bytes


def fetch(
    address: str,
    *,
    inside: bool,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    most: int = MOST_BYTES,
) -> Reply:
    """GET the address, or POST a form to it. `inside` lets it be on an inside network: the operator named it.

    Raises Unreachable after WITHIN_S seconds, for more than `most` bytes, and for an address that is not asked.
    """
    if database.in_transaction():
        raise RuntimeError("asking another server inside a transaction holds everybody up")
    _take_turn()
    try:
        return _fetch(address, inside=inside, form=form, headers={**(headers or {})}, most=most)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"{type(error).__name__}: {error}"[:300]) from None
    finally:
        _turns.release()


def _take_turn() -> None:
    if _turns.acquire(blocking=False):
        return
    if _waiting.acquire(blocking=False):
        try:
            if _turns.acquire(timeout=TURN_S):
                return
        finally:
            _waiting.release()
    raise Unreachable("too many questions to other servers at once")


def _fetch(address: str, *, inside: bool, form: Mapping[str, str] | None, headers: dict[str, str], most: int) -> Reply:
    development = not settings.current().production
    if web_address_fault(address, plain=development):
        raise Unreachable("not an address that is asked")
    parts = urlsplit(address)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    if not inside and not development and port not in PORTS:
        raise Unreachable(f"port {port} is not asked")
    until = clock.monotonic() + WITHIN_S
    found = _look_up(host, port, until)
    raw = _connect(_addresses_of(found, inside=inside, loopback=development), port, until)
    late = threading.Event()
    # One that sends a byte now and then would never run into the time-out of a single read.
    watch = threading.Timer(_left(until), _hang_up, (raw, late))
    watch.daemon = True
    watch.start()
    try:
        with closing(raw), closing(_connection(host, port, raw, secure=secure)) as connection:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            body = None if form is None else urlencode(form).encode()
            if body is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Accept"] = "application/json"
            connection.request("GET" if body is None else "POST", target, body, headers)
            answer = connection.getresponse()
            said = answer.read(most + 1)
            kind = answer.headers.get_content_type()
    finally:
        watch.cancel()
    if late.is_set():
        raise Unreachable("no whole answer in time")
    if len(said) > most:
        raise Unreachable(f"more than {most} bytes")
    return Reply(answer.status, kind, said)


def _connection(host: str, port: int, raw: socket.socket, *, secure: bool) -> http.client.HTTPConnection:
    if not secure:
        plain = http.client.HTTPConnection(host, port)
        plain.sock = raw
        return plain
    sealed = http.client.HTTPSConnection(host, port, context=_tls())
    sealed.sock = _tls().wrap_socket(raw, server_hostname=host)
    return sealed


def _left(until: float) -> float:
    left = until - clock.monotonic()
    if left <= 0:
        raise TimeoutError("no whole answer in time")
    return left


def _hang_up(raw: socket.socket, late: threading.Event) -> None:
    late.set()
    with suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _look_up(host: str, port: int, until: float) -> list[str]:
    """The addresses of a name. The system's own looking up knows no limit of time, so a thread of its own does it."""
    found: list[list[str] | OSError] = []

    def ask() -> None:
        try:
            found.append([str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except OSError as error:
            found.append(error)

    asking = threading.Thread(target=ask, name="looking up a name", daemon=True)
    asking.start()
    asking.join(_left(until))
    if not found:
        raise TimeoutError("the name was not looked up in time")
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]


def _addresses_of(found: list[str], *, inside: bool, loopback: bool) -> list[str]:
    if not inside:
        for address in found:
            if is_inside(address, loopback=loopback):
                raise Unreachable("an address of an inside network is not asked")
    return list(dict.fromkeys(found))


def _connect(addresses: list[str], port: int, until: float) -> socket.socket:
    failed: OSError = OSError("no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=_left(until))
        except OSError as error:
            failed = error
    raise failed


def is_inside(address: str, *, loopback: bool = False) -> bool:
    """Whether an IP address is none of the open net, in whatever form it is written: loopback (but where `loopback`
    lets it pass), private, link-local, shared, reserved, multicast, or IPv6 around one of these."""
    try:
        told: IP = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    judged = _wrapped(told) or [told]
    if loopback and all(one.is_loopback for one in judged):
        return False
    return any(
        not one.is_global or one.is_multicast or one.is_reserved or getattr(one, "is_site_local", False)
        for one in judged
    )


def _wrapped(told: IP) -> list[IP]:
    """The IPv4 addresses inside an IPv6 one: mapped, 6to4, Teredo (RFC 4291, 3056, 4380)."""
    if isinstance(told, ipaddress.IPv4Address):
        return []
    teredo = told.teredo or ()
    return [one for one in (told.ipv4_mapped, told.sixtofour, *teredo) if one is not None]
