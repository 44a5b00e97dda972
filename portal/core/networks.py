"""Networks: read in their one form, kept as text, and asked whether an address lies in them."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from portal.core.text import gettext

if TYPE_CHECKING:
    from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# An address, and after a slash how many bits count. Masks in dots are left out: 0.0.0.255 reads either way.
NETWORK = re.compile(r"[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?")
# IPv4 lies inside IPv6 behind so many bits (RFC 4291, 2.5.5.2).
MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


class BadNetwork(ValueError):
    """A network that is refused; its text names it and says why."""


def network_of(typed: str) -> str:
    """An address or network in its one form: IPv4 inside IPv6 as IPv4, a single address without its bits.

    Raises BadNetwork, also where bits beyond the network are set: which of the two is meant cannot be known.
    """
    text = typed.strip()
    nonsense = BadNetwork(
        gettext("“%(network)s” is no address or network, such as 192.0.2.7 or 2001:db8::/32.", network=text[:60])
    )
    if not NETWORK.fullmatch(text):
        raise nonsense
    try:
        wide = ipaddress.ip_network(text, strict=False)
        address = ipaddress.ip_address(text.partition("/")[0])
    except ValueError:
        raise nonsense from None
    if address != wide.network_address:
        raise BadNetwork(
            gettext(
                "“%(network)s” is an address inside a network. Write %(wide)s for all of it, or %(address)s for one.",
                network=text,
                wide=shown_network(wide),
                address=shown_network(ipaddress.ip_network(address)),
            )
        )
    return shown_network(wide)


def shown_network(network: Network) -> str:
    """The network in its one form."""
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(MAPPED):
        inner = network.network_address.ipv4_mapped
        network = ipaddress.IPv4Network((int(inner or 0), network.prefixlen - MAPPED.prefixlen))
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def parsed_networks(kept: Iterable[str]) -> tuple[Network, ...]:
    """The networks of a kept list. A damaged entry lets nobody in, so a list of such alone is a closed door."""
    known = []
    for text in kept:
        with suppress(ValueError):
            known.append(ipaddress.ip_network(shown_network(ipaddress.ip_network(text.strip(), strict=False))))
    return tuple(known)


def inside(address: str | None, networks: Iterable[Network]) -> bool:
    """Whether the address lies in one of the networks; IPv4-mapped IPv6 counts as IPv4, nonsense as outside."""
    try:
        where = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    where = getattr(where, "ipv4_mapped", None) or where
    return any(where in network for network in networks)
