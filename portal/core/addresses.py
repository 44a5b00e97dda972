"""Network addresses as something to count by."""

from __future__ import annotations

import ipaddress

# What one subscriber is given of IPv6 at least (RFC 6177): whoever has it has 2^64 addresses.
SUBSCRIBER_BITS = 64


def neighbourhood(address: str | None) -> str:
    """By what a caller's address is counted: IPv4 as it is, IPv6 by its /64; "" for none, anything else as it is."""
    try:
        known = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    if known.version == 4:
        return str(known)
    return str(ipaddress.IPv6Network((int(known), SUBSCRIBER_BITS), strict=False))
